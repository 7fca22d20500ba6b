import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { readCgroupLimits } from '../../lib/cgroup.ts'
import { createFitCheck, memoryOf, resolveProcessLimits } from '../../lib/process-limits.ts'
import { makeFolder } from '../support/folders.ts'

/** The limits that are read from a folder of such files. */
async function limitsOf (t: Test, membership: string, files: Record<string, string>) {
  const folder = await makeFolder(t)
  await writeFile(join(folder, 'cgroup'), membership)
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, 'fs', name)), { recursive: true })
    await writeFile(join(folder, 'fs', name), text)
  }
  return readCgroupLimits({ membership: join(folder, 'cgroup'), mount: join(folder, 'fs') })
}

const gibibyte = 2 ** 30

for (const [what, membership, files, limits] of [
  ['version 2', '0::/\n', { 'memory.max': '1073741824\n', 'cpu.max': '150000 100000\n' }, [gibibyte, 1.5]],
  ['version 2 without limits', '0::/\n', { 'memory.max': 'max\n', 'cpu.max': 'max 100000\n' }, [null, null]],
  ['a nested group', '0::/a/b\n', { 'a/memory.max': '512\n', 'a/b/memory.max': 'max\n', 'a/b/cpu.max': 'max 1\n' }, [512, null]],
  ['groups of which the inner one is smaller', '0::/a/b\n', { 'a/memory.max': '512\n', 'a/b/memory.max': '256' }, [256, null]],
  ['a path of the host in a container', '0::/kubepods/pod1\n', { 'memory.max': '512', 'cpu.max': '50000 100000' }, [512, 0.5]],
  ['a path out of the namespace', '0::/../../other\n', { 'memory.max': '512' }, [512, null]],
  [
    'version 1', '4:memory:/docker/x\n2:cpu,cpuacct:/docker/x\n0::/\n',
    {
      'memory/docker/x/memory.limit_in_bytes': '536870912\n',
      'memory/memory.limit_in_bytes': '9223372036854771712\n',
      'cpu,cpuacct/docker/x/cpu.cfs_quota_us': '200000\n',
      'cpu,cpuacct/docker/x/cpu.cfs_period_us': '100000\n'
    },
    [gibibyte / 2, 2]
  ],
  [
    'version 1 without limits', '4:memory:/\n1:cpu:/\n',
    { 'memory/memory.limit_in_bytes': '9223372036854771712', 'cpu/cpu.cfs_quota_us': '-1', 'cpu/cpu.cfs_period_us': '100000' },
    [null, null]
  ],
  ['both versions at once', '4:memory:/x\n0::/y\n', { 'memory/x/memory.limit_in_bytes': '300', 'y/memory.max': '200' }, [200, null]],
  ['a system without groups', '', {}, [null, null]],
  ['files of something else', '0::/\nnonsense', { 'memory.max': 'lots', 'cpu.max': '' }, [null, null]]
] as const) {
  t.test(`limits of control groups: ${what}`, async t => {
    const { memoryBytes, cpus } = await limitsOf(t, membership, files)
    t.strictSame([memoryBytes, cpus], limits)
  })
}

t.test('the real group of this process can be read', async t => {
  const { memoryBytes, cpus } = readCgroupLimits()
  t.ok(memoryBytes === null || memoryBytes > 0)
  t.ok(cpus === null || cpus > 0)
})

t.test('as many servers as fit, at most 50 and at least one', async t => {
  const alive = (memoryBytes: number | null, maxAlive: number | null = null) =>
    resolveProcessLimits({ maxAlive, maxStarting: null }, { memoryBytes, cpus: null }).maxAlive
  t.strictSame([null, gibibyte, 64 * gibibyte, gibibyte / 4, 1].map(bytes => alive(bytes)), [50, 7, 50, 1, 1])
  t.equal(alive(gibibyte, 40), 40, 'what the operator says counts')
})

t.test('as many starts at once as there are cores for this process', async t => {
  const starting = (cpus: number | null, maxStarting: number | null = null) =>
    resolveProcessLimits({ maxAlive: null, maxStarting }, { memoryBytes: null, cpus }, 8).maxStarting
  t.strictSame([null, 2, 2.7, 0.1, 64].map(cpus => starting(cpus)), [8, 2, 2, 1, 8])
  t.equal(starting(1, 4), 4)
})

t.test('servers that need more than was assumed are told of once', async t => {
  const fits = createFitCheck(7, gibibyte)
  const megabytes = (count: number) => count * 1024 * 1024
  t.equal(fits(megabytes(400)), null, 'one says nothing')
  t.equal(fits(megabytes(400)), null)
  t.strictSame(fits(megabytes(400)), { meanBytes: megabytes(400), fitting: 1 })
  t.equal(fits(megabytes(400)), null, 'once')

  const small = createFitCheck(7, gibibyte)
  const free = createFitCheck(50, null)
  for (let n = 0; n < 10; n++) t.strictSame([small(megabytes(60)), free(megabytes(4_000))], [null, null])
})

t.test('the memory of a process is known, and that of none is not', { skip: process.platform !== 'linux' }, async t => {
  t.ok((memoryOf(process.pid) ?? 0) > 10_000_000)
  t.equal(memoryOf(2 ** 30), null)
})
