import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { createReaper } from '../../../../lib/mcp/transports/reaper.ts'
import { isAlive, processes } from '../../../support/processes.ts'
import { until } from '../../../support/wait.ts'

function startGroup (): number {
  const child = spawn('/bin/sh', ['-c', 'trap "" TERM HUP INT; sleep 60 & wait; sleep 60'], {
    detached: true, stdio: 'ignore'
  })
  child.unref()
  return child.pid ?? 0
}

const groupIsAlive = (group: number) => processes().some(process => process.group === group)

t.test('groups that were not removed are killed when the reaper ends, others are left alone', async t => {
  const reaper = createReaper()
  const [first, removed, last] = [startGroup(), startGroup(), startGroup()]
  t.teardown(() => process.kill(-removed, 'SIGKILL'))
  for (const group of [first, removed, last]) reaper.add(group)
  reaper.remove(removed)

  await reaper.close()
  await reaper.close()

  await until(() => !groupIsAlive(first) && !groupIsAlive(last), 'both groups are gone')
  t.ok(groupIsAlive(removed))
})

t.test('a reaper that is killed is started again, and knows what it knew', async t => {
  const reaper = createReaper()
  const group = startGroup()
  reaper.add(group)
  const shells = childShells()
  t.ok(shells.length >= 1)
  for (const shell of shells) process.kill(shell, 'SIGKILL')
  await until(() => childShells().some(shell => !shells.includes(shell)), 'a new one runs')

  await reaper.close()

  await until(() => !groupIsAlive(group), 'the group is gone')
})

t.test('a process that is killed takes its groups with it', async t => {
  const built = join(import.meta.dirname, '../../../../dist/lib/mcp/transports/reaper.js')
  const parent = spawn(process.execPath, ['--input-type=module', '-e', `
    import { spawn } from 'node:child_process'
    import { createReaper } from ${JSON.stringify(built)}
    const reaper = createReaper()
    for (let number = 0; number < 10; number++) {
      const child = spawn('/bin/sh', ['-c', 'trap "" TERM; sleep 60 & wait'], { detached: true, stdio: 'ignore' })
      reaper.add(child.pid)
      console.log(child.pid)
    }
    setInterval(() => {}, 1000)
  `], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  parent.stdout.on('data', (chunk: Buffer) => { output += chunk.toString() })
  await until(() => output.trim().split('\n').length === 10, 'ten groups run')
  const groups = output.trim().split('\n').map(Number)
  t.ok(groups.every(groupIsAlive))

  parent.kill('SIGKILL')
  await once(parent, 'exit')

  await until(() => !groups.some(groupIsAlive), 'all groups are gone')
  t.notOk(isAlive(groups[0] ?? 0))
})

function childShells (): number[] {
  return processes()
    .filter(({ parent, command }) => parent === process.pid && command.startsWith('/bin/sh'))
    .map(({ pid }) => pid)
}
