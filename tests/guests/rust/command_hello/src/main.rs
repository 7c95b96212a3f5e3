//! A command that shows what it was given, or misbehaves: `command_hello [MODE [VALUE]]`.
//!
//! - no mode, or any word that is none: prints a greeting, the arguments and the environment, sorted
//! - `echo`: copies standard input to standard output
//! - `exit CODE`: exits with it (a component can only tell 0 from the rest)
//! - `stderr`: one line on each output
//! - `read PATH`, `list PATH`: a file's or folder's content
//! - `connect HOST:PORT`: opens a TCP connection
//! - `clock`: sleeps 10 ms and says whether time passed
//! - `spin`: never ends
//! - `grow`: takes memory until it is refused, and says how much it got
//! - `panic`: traps

use std::{
    env,
    fs::File,
    io::{self, Write as _},
    net::TcpStream,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let value = arguments.get(1).map_or("", String::as_str);
    let done = match arguments.first().map_or("", String::as_str) {
        "echo" => echo(),
        "exit" => return exit(value),
        "stderr" => both(),
        "read" => read(value),
        "list" => list(value),
        "connect" => connect(value),
        "clock" => clock(),
        "spin" => spin(),
        "grow" => grow(),
        "panic" => panic!("as asked"),
        _ => greet(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn greet(arguments: &[String]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "hello from command_hello")?;
    for argument in arguments {
        writeln!(output, "arg {argument}")?;
    }
    let mut variables: Vec<_> = env::vars().collect();
    variables.sort();
    for (name, value) in variables {
        writeln!(output, "env {name}={value}")?;
    }
    Ok(())
}

fn echo() -> io::Result<()> {
    let mut output = io::stdout().lock();
    io::copy(&mut io::stdin().lock(), &mut output)?;
    output.flush()
}

fn exit(code: &str) -> ExitCode {
    ExitCode::from(code.parse::<u8>().unwrap_or(u8::MAX))
}

fn both() -> io::Result<()> {
    writeln!(io::stdout(), "to stdout")?;
    writeln!(io::stderr(), "to stderr")
}

fn read(path: &str) -> io::Result<()> {
    let mut file = File::open(path)?;
    io::copy(&mut file, &mut io::stdout().lock())?;
    Ok(())
}

fn connect(address: &str) -> io::Result<()> {
    TcpStream::connect(address)?;
    writeln!(io::stdout(), "connected")
}

fn list(path: &str) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    names.iter().try_for_each(|name| writeln!(io::stdout(), "{name}"))
}

fn clock() -> io::Result<()> {
    let start = Instant::now();
    thread::sleep(Duration::from_millis(10));
    let passed = start.elapsed() >= Duration::from_millis(10);
    writeln!(io::stdout(), "time passed: {passed}")
}

fn spin() -> ! {
    let mut number = 0_u64;
    loop {
        number = std::hint::black_box(number.wrapping_add(1));
    }
}

fn grow() -> io::Result<()> {
    let mut taken = Vec::new();
    loop {
        let mut piece: Vec<u8> = Vec::new();
        if taken.try_reserve(1).is_err() || piece.try_reserve_exact(1 << 20).is_err() {
            let mebibytes = taken.len();
            drop(taken);
            return writeln!(io::stdout(), "refused after {mebibytes} MiB");
        }
        // Written to, so that the host has to back it.
        piece.resize(1 << 20, 1);
        taken.push(std::hint::black_box(piece));
    }
}
