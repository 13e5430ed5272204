/** Ansible's YAML inventories: groups at the top, each with `hosts`, `vars` and `children`. */
import { didYouMean, kindOf, located, type Position, type Problem, UserError } from '../errors.ts';
import { expandHosts } from './host-ranges.ts';
import type { VarDefinition } from './inventory.ts';
import { type InventoryModel, setVar } from './model.ts';
import { isMapping, readYaml } from './yaml.ts';
import { positionOf } from './yaml-positions.ts';

/** Reads YAML text into `model`. @throws UserError with everything that is wrong. */
export async function readYamlInventory(text: string, file: string, model: InventoryModel): Promise<void> {
  const { value, at } = await readYaml(text, file);
  if (!isMapping(value)) {
    throw new UserError({
      what:
        value === null ? 'the inventory is empty' : `the inventory is not a mapping of groups, but ${kindOf(value)}`,
      at,
      expected: 'groups, each with hosts, vars and children',
    });
  }
  if ('plugin' in value) {
    throw new UserError({
      what: `"plugin: ${String(value['plugin'])}" asks for a dynamic inventory, which Heartwood does not run`,
      at: positionOf(value, 'plugin')?.keyAt ?? at,
      hint: 'write its answer to a file: ansible-inventory --list --yaml --output hosts.yml',
    });
  }
  const problems: Problem[] = [];
  for (const [name, group] of Object.entries(value)) {
    readGroup({ model, file, problems }, name, group, positionOf(value, name)?.keyAt ?? at);
  }
  if (problems.length > 0) throw new UserError(problems);
}

/** What the functions below read, and into what. */
interface Target {
  readonly model: InventoryModel;
  readonly file: string;
  readonly problems: Problem[];
}

const SECTIONS = ['hosts', 'vars', 'children'];

function readGroup(target: Target, name: string, group: unknown, at: Position): void {
  const { model, problems } = target;
  model.group(name, at);
  if (group === null) return;
  if (!isMapping(group)) {
    problems.push({
      what: `group "${name}" is ${kindOf(group)}`,
      at,
      expected: 'a mapping with hosts, vars and children',
    });
    return;
  }
  for (const [section, written] of Object.entries(group)) {
    const keyAt = positionOf(group, section)?.keyAt ?? at;
    if (!SECTIONS.includes(section)) {
      const near = didYouMean(section, SECTIONS);
      problems.push({
        what: `unknown key "${section}" in group "${name}"`,
        at: keyAt,
        expected: 'hosts, vars, children',
        hint: near ? `did you mean "${near}"?` : 'a variable belongs under vars:, a group under children:',
      });
      continue;
    }
    const value = typeof written === 'string' ? { [written]: null } : written;
    if (value === null) continue;
    if (!isMapping(value)) {
      problems.push({
        what: `"${section}" of group "${name}" is ${kindOf(value)}`,
        at: positionOf(group, section)?.at ?? keyAt,
        expected:
          section === 'vars'
            ? 'a mapping of names to values'
            : 'a mapping: one name per line, each with a colon after it',
      });
      continue;
    }
    try {
      readSection(target, name, section, value, keyAt);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      problems.push(...error.problems);
    }
  }
}

function readSection(
  target: Target,
  group: string,
  section: string,
  value: Record<string, unknown>,
  at: Position,
): void {
  const { model, file, problems } = target;
  for (const [name, content] of Object.entries(value)) {
    const keyAt = positionOf(value, name)?.keyAt ?? at;
    if (section === 'vars') {
      setVar(model.group(group, at).vars, name, definitionIn(value, name, file, keyAt));
    } else if (section === 'children') {
      model.child(group, name, keyAt);
      readGroup(target, name, content, keyAt);
    } else {
      const { names, port } = located(() => expandHosts(name), keyAt);
      if (content !== null && !isMapping(content)) {
        problems.push({
          what: `host "${name}" has ${kindOf(content)} for its variables`,
          at: positionOf(value, name)?.at ?? keyAt,
          expected: 'a mapping of names to values, or nothing',
        });
        continue;
      }
      for (const each of names) {
        const host = model.host(each, group, keyAt, file);
        if (port !== undefined) setVar(host.vars, 'ansible_port', { value: port, at: keyAt, source: file });
        for (const key of Object.keys(content ?? {})) {
          setVar(host.vars, key, definitionIn(content ?? {}, key, file, keyAt));
        }
      }
    }
  }
}

/**
 * The definition of `name` in a mapping that was read from a file; `at` is its position where it has none of its own.
 */
export function definitionIn(map: Record<string, unknown>, name: string, source: string, at: Position): VarDefinition {
  const position = positionOf(map, name);
  return { value: map[name], at: position?.keyAt ?? at, source, text: position?.text };
}
