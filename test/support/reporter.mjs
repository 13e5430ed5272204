/**
 * What `npm test` prints: a line per file, every failed test with its reasons, and last `N passed, N failed`. A test is a
 * `t.test` without tests inside it. Plain JavaScript, because tap loads it without tsx.
 */
import { Transform } from 'node:stream';
import { Parser } from 'tap-parser';

export default class SentenceReporter extends Transform {
  #parser = new Parser();
  #passed = 0;
  #failed = 0;
  #skipped = 0;
  #before = { passed: 0, failed: 0 };

  constructor() {
    super();
    this.#parser.on('child', (file) => this.#file(file));
    // The verdict on a file comes after its tests, and knows of crashes and time limits.
    this.#parser.on('assert', (result) => this.#fileEnded(result));
    this.#parser.on('bailout', (reason) => this.push(`bail out: ${reason}\n`));
  }

  _transform(chunk, _encoding, done) {
    this.#parser.write(chunk);
    done();
  }

  _flush(done) {
    this.#parser.end();
    const skipped = this.#skipped > 0 ? `, ${this.#skipped} skipped` : '';
    this.push(`${this.#passed} passed, ${this.#failed} failed${skipped}\n`);
    done();
  }

  #file(file) {
    this.#before = { passed: this.#passed, failed: this.#failed };
    this.#follow(file, []);
  }

  #fileEnded({ ok, name, time, diag = {} }) {
    const [passed, failed] = [this.#passed - this.#before.passed, this.#failed - this.#before.failed];
    if (!ok && failed === 0) {
      this.#failed++;
      const how = diag.signal ? `signal ${diag.signal}` : `exit code ${diag.exitCode}`;
      this.push(`FAILED ${name}: broke outside its tests (${how})\n`);
    }
    const took = time ? `, ${(time / 1000).toFixed(1)} s` : '';
    this.push(`${ok ? 'ok    ' : 'FAILED'} ${name} (${passed} passed, ${failed} failed${took})\n`);
    this.#before = { passed: this.#passed, failed: this.#failed };
  }

  /** Counts the tests below a parser; tells whether there were any. */
  #follow(parser, path) {
    const seen = { any: false };
    // What a test measured is worth a line; its other comments are not.
    parser.on('comment', (text) => {
      const [, measured] = /^# (measured: .*)/.exec(text) ?? [];
      if (measured) this.push(`       ${measured}\n`);
    });
    parser.on('child', (child) => {
      seen.any = true;
      const inner = [...path, child.name];
      const below = this.#follow(child, inner);
      child.on('complete', (results) => {
        if (below.any) return;
        if (results.skip > 0 && results.skip === results.count) this.#skipped++;
        else if (results.ok) this.#passed++;
        else {
          this.#failed++;
          this.push(`FAILED ${inner.join(' / ')}\n${results.failures.map(explain).join('')}`);
        }
      });
    });
    return seen;
  }
}

/** A failed assertion: its name, what was found and wanted, where. */
function explain({ name, diag = {}, tapError }) {
  const { diff, found, wanted, at, error, stack } = diag;
  const lines = [
    name ?? tapError,
    at?.fileName && `at ${at.fileName}:${at.lineNumber}`,
    diff ?? (found !== undefined && `found: ${JSON.stringify(found)}\nwanted: ${JSON.stringify(wanted)}`),
    error && JSON.stringify(error),
    !diff && stack,
  ].filter(Boolean);
  return `${lines
    .join('\n')
    .trimEnd()
    .split('\n')
    .map((line) => `    ${line}`)
    .join('\n')}\n`;
}
