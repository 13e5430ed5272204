/** Everything that labs of a shape need and that takes minutes the first time, made beforehand. */
import { aptRepository } from './apt-repository.ts';
import { makeK3s } from './artifacts.ts';
import { allOf, type Say } from './local.ts';
import { prepare } from './prepare.ts';
import { type RootKind, rootOf } from './root.ts';
import type { LabShape } from './shape.ts';

/** Fills the cache for labs of this shape, and boots nothing. Does nothing where the cache has it all. */
export async function fillCache(shape: LabShape, say: Say): Promise<void> {
  await prepare(shape, say);
  const kinds = new Map(shape.hosts.map(({ arch, ufw }): [string, RootKind] => [`${arch} ${ufw}`, { arch, ufw }]));
  const arches = [...new Set(shape.hosts.map(({ arch }) => arch))];
  await allOf<unknown>([
    ...[...kinds.values()].map(async (kind) => aptRepository(kind.arch, await rootOf(kind, say), say)),
    ...(shape.k3s ? arches.map((arch) => makeK3s(arch, say)) : []),
  ]);
}
