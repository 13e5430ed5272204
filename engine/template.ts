/**
 * Templates: Handlebars, made strict. A name that the data lacks is an error with file, line and column wherever it
 * stands; nothing is HTML-escaped; secrets in the data stay closed in what comes out.
 */
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { projectText } from './project-files.ts';
import type { SecretText } from './secret.ts';
import { compileTemplate } from './template/compile.ts';

/** Renders a template. A text with secrets in it is a {@link SecretText}, one without is a string. */
export type Render = (data: Readonly<Record<string, unknown>>) => string | SecretText;

/**
 * A template in a file: `template(new URL('../../templates/k3s/config.yaml.hbs', import.meta.url))`. The file is read
 * once a run, when it is first rendered.
 * @throws UserError when rendering: a name the data lacks, a value that is no text, a syntax error, each with its
 * place.
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

/** A template from text. `name` stands for the file in messages. */
export function templateText(text: string, name: string): Render {
  return compileTemplate(text, name);
}

function shownPath(path: string): string {
  const shown = relative(process.cwd(), path);
  return shown.startsWith('..') ? path : shown;
}
