/**
 * Templates: Handlebars, but strict. A name that the data lacks is an error everywhere, with file, line and column.
 * Nothing is HTML-escaped. A secret in the data stays a secret in the result.
 */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileTemplate, type Render } from './template/compile.ts';

export type { Render };

/**
 * A template in a file: `template(new URL('../../templates/k3s/config.yaml.hbs', import.meta.url))`. The file is read
 * when it is first rendered.
 * @throws InvalidValue when it is rendered, with its position: a name the data lacks, a value without text, a syntax
 * error.
 */
export function template(file: URL | string): Render {
  let render: Render | undefined;
  return (data) => {
    render ??= fromFile(typeof file === 'string' ? file : fileURLToPath(file));
    return render(data);
  };
}

/** A template from text. `name` is its file in messages. */
export function templateText(text: string, name: string): Render {
  return compileTemplate(text, name);
}

function fromFile(path: string): Render {
  const shown = relative(process.cwd(), path);
  return compileTemplate(readFileSync(path, 'utf8'), shown.startsWith('..') ? path : shown);
}
