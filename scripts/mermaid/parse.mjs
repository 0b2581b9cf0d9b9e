// Parses each Mermaid block of the files, with the mermaid and jsdom of a folder:  node parse.mjs FOLDER FILE…
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, ...files] = process.argv.slice(2);
const { resolve: path } = createRequire(join(resolve(folder), 'node_modules/x.js'));
const load = (name) => import(pathToFileURL(name));

const { JSDOM } = (await load(path('jsdom'))).default;
const { window } = new JSDOM();
Object.assign(globalThis, { window, document: window.document });
const mermaid = (await load(join(resolve(folder), 'node_modules/mermaid/dist/mermaid.core.mjs'))).default;

let found = 0;
for (const file of files) {
  const text = readFileSync(file, 'utf8');
  for (const block of text.matchAll(/^```mermaid\n(.*?)^```/gms)) {
    found += 1;
    try {
      await mermaid.parse(block[1]);
    } catch (error) {
      const line = text.slice(0, block.index).split('\n').length;
      console.error(`${file}:${line}: ${error.message}`);
      process.exitCode = 1;
    }
  }
}
if (found === 0) throw new Error('there is no Mermaid block');
console.log(`${found} Mermaid diagrams parsed`);
