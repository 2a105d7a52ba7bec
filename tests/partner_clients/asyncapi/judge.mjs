// Prints one line a document: its path, its operations and messages, and what the parser finds wrong.
import { readFileSync } from 'node:fs';
import { Parser } from '@asyncapi/parser';

const parser = new Parser();
for (const path of process.argv.slice(2)) {
  const { document, diagnostics } = await parser.parse(readFileSync(path, 'utf8'), { source: path });
  const wrong = diagnostics.filter(({ severity }) => severity < 2);
  console.log(JSON.stringify({
    path,
    operations: document?.operations().length ?? 0,
    messages: document?.messages().length ?? 0,
    wrong: wrong.map(({ code, message, path: place }) => `${place.join('/')}: ${code}: ${message}`),
  }));
}
