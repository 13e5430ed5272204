/**
 * Templates: Handlebars, but strict. A name that the data lacks is an error everywhere, with file, line and column.
 * Nothing is HTML-escaped. A secret in the data stays a secret in the result.
 */
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { projectText } from './project-files.ts';
import { compileTemplate, type Render } from './template/compile.ts';

export type { Render };

/**
 * A template in a file: `template(new URL('../../templates/k3s/config.yaml.hbs', import.meta.url))`. The file is read
 * once a run, when it is first rendered.
 * @throws InvalidValue when it is rendered, with its position: a name the data lacks, a value without text, a syntax
 * error.
 */
export function template(file: URL | string): Render {
  const path = typeof file === 'string' ? file : fileURLToPath(file);
  let compiled: { readonly text: string; readonly render: Render } | undefined;
  return (data) => {
    const text = projectText(path);
    if (compiled?.text !== text) compiled = { text, render: compileTemplate(text, shownPath(path)) };
    return compiled.render(data);
  };
}

/** A template from text. `name` is its file in messages. */
export function templateText(text: string, name: string): Render {
  return compileTemplate(text, name);
}

function shownPath(path: string): string {
  const shown = relative(process.cwd(), path);
  return shown.startsWith('..') ? path : shown;
}
