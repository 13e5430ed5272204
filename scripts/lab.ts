#!/usr/bin/env -S node --import tsx
import { Lab } from '../lab/lab.ts';

const [cmd, ...rest] = process.argv.slice(2);
if (cmd === 'up') {
  const t0 = Date.now();
  const n = Number(rest[0] ?? 3);
  const lab = await Lab.up({ hosts: Array.from({ length: n }, (_, i) => ({ name: `node-${i + 1}` })) }, console.error);
  console.log(lab.inventory, Date.now() - t0);
} else if (cmd === 'down') await Lab.open().down();
else if (cmd === 'exec')
  console.log(
    await Lab.open()
      .host(rest[0] ?? '')
      .exec(rest.slice(1).join(' ')),
  );
