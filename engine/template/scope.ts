/** Where a template's names are looked up: the data at hand, what is around it, `@index` and its like. */

/** Data of loops: `@index`, `@key`, `@first`, `@last`; `@root`. */
export interface LoopData {
  readonly values: Readonly<Record<string, unknown>>;
  readonly outer: LoopData | undefined;
}

/** What is in scope at one place of a template. Immutable. */
export class Scope {
  /** `this`, then what `../` reaches, innermost first. */
  readonly #contexts: readonly unknown[];
  readonly #loop: LoopData;
  /** Names given by `as |item i|`, innermost last. */
  readonly #named: ReadonlyMap<string, unknown>;

  private constructor(contexts: readonly unknown[], loop: LoopData, named: ReadonlyMap<string, unknown>) {
    this.#contexts = contexts;
    this.#loop = loop;
    this.#named = named;
  }

  /** The scope of a whole template. */
  static of(data: unknown): Scope {
    return new Scope([data], { values: { root: data }, outer: undefined }, new Map());
  }

  /** Inside a block: another `this`, loop data and names of its own. */
  inside(context: unknown, names: ReadonlyMap<string, unknown>, loop?: Readonly<Record<string, unknown>>): Scope {
    // As in Handlebars, a block with the same context is no step for `../`.
    const contexts = context === this.#contexts[0] ? this.#contexts : [context, ...this.#contexts];
    const data = loop ? { values: { ...this.#loop.values, ...loop }, outer: this.#loop } : this.#loop;
    return new Scope(contexts, data, new Map([...this.#named, ...names]));
  }

  /** `this`. */
  get context(): unknown {
    return this.#contexts[0];
  }

  /** Where the first part of a path is looked up. */
  lookup(path: {
    readonly data: boolean;
    readonly depth: number;
    readonly parts: readonly string[];
    readonly scoped: boolean;
  }): {
    readonly value: unknown;
    readonly known: readonly string[];
  } {
    const { data, depth, parts, scoped } = path;
    const [first, ...rest] = parts;
    let start: unknown;
    let left: readonly string[] = parts;
    if (data) {
      let loop: LoopData | undefined = this.#loop;
      for (let i = 0; i < depth; i++) loop = loop?.outer;
      start = loop?.values;
    } else if (depth === 0 && !scoped && first !== undefined && this.#named.has(first)) {
      start = this.#named.get(first);
      left = rest;
    } else start = this.#contexts[depth];
    let known: readonly string[] = [];
    for (const part of left) {
      known = ownNames(start);
      start = own(start, part);
      if (start === undefined) break;
    }
    return { value: start, known };
  }
}

/** Own properties only: nothing of a prototype is ever reached. */
function own(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  const found: unknown = Reflect.get(value, name);
  return typeof found === 'function' ? undefined : found;
}

function ownNames(value: unknown): readonly string[] {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : [];
}
