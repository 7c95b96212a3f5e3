//! The command.

use wasip3::{cli, clocks, wit_stream};

wasip3::cli::command::export!(Command);

struct Command;

impl wasip3::exports::cli::run::Guest for Command {
    async fn run() -> Result<(), ()> {
        let arguments = cli::environment::get_arguments();
        let has = |word: &str| arguments.iter().any(|argument| argument == word);
        if has("wait") {
            clocks::monotonic_clock::wait_for(1_000_000).await;
        }
        while has("spin") {
            std::hint::spin_loop();
        }
        let (mut writer, reader) = wit_stream::new();
        let text = arguments.iter().skip(1).map(|argument| format!("{argument}\n"));
        let written = async {
            let left = writer.write_all(text.collect::<String>().into_bytes()).await;
            drop(writer);
            left.is_empty()
        };
        let (sent, all) = futures::join!(cli::stdout::write_via_stream(reader).into_future(), written);
        if sent.is_ok() && all && !has("fail") {
            Ok(())
        } else {
            Err(())
        }
    }
}
