// Bundles one guest and makes a component of it: node build.mjs FOLDER, called by build.sh.

import { cp, mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import path from "node:path";
import { componentize } from "@bytecodealliance/componentize-js";
import esbuild from "esbuild";

// The engine's own WASI. A component may not mix it with another version in what it exports; the texts of the interfaces
// that are used are the same in both.
const WASI_OF_ENGINE = "0.2.10";
const WASI_OF_TEXTS = "0.2.12";

const guest = process.argv[2];
const target = path.join(guest, "target");

async function interfaces() {
  const wit = path.join(target, "wit");
  await rm(wit, { recursive: true, force: true });
  await cp("../wit", wit, { recursive: true });
  for (const entry of await readdir(wit, { recursive: true })) {
    if (!entry.endsWith(".wit")) continue;
    const text = await readFile(path.join(wit, entry), "utf8");
    await writeFile(path.join(wit, entry), text.replaceAll(WASI_OF_TEXTS, WASI_OF_ENGINE));
  }
  return wit;
}

async function bundle() {
  const outfile = path.join(target, "bundle.js");
  await esbuild.build({
    entryPoints: [path.join(guest, "guest.js")],
    outfile,
    bundle: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    external: ["wasi:*"],
    logLevel: "warning",
  });
  return outfile;
}

await mkdir(target, { recursive: true });
const generator = path.join(guest, "characters.mjs");
if (existsSync(generator)) {
  const { characters } = await import(path.resolve(generator));
  await writeFile(path.join(target, "characters.js"), characters());
}
const { component } = await componentize({
  sourcePath: await bundle(),
  witPath: path.resolve(await interfaces()),
  worldName: "http",
});
const wasm = path.join(target, `${guest}.wasm`);
await writeFile(`${wasm}.new`, component);
await rename(`${wasm}.new`, wasm);
console.log(wasm);
