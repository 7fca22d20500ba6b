import { spawnSync } from 'node:child_process'
import { chmod, copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { StdioSpec } from '../../lib/mcp/servers-file/server-spec.ts'
import { readServersFile } from '../../lib/mcp/servers-file/servers-file.ts'
import { makeFolder } from '../support/folders.ts'
import { policyDefaults, serversFile } from '../support/servers-file.ts'

const isRoot = process.getuid?.() === 0
const own = process.getuid?.() ?? 0
const options = {
  host: { PATH: '/usr/bin:/bin', HOME: '/root', USER: 'root' }, sensitiveParams: ['jwtToken'], policyDefaults
}

const entry = (fields: object) => ({ command: '/bin/sh', cwd: '/', ...fields })

async function specOf (t: Test, fields: object): Promise<StdioSpec> {
  const [spec] = readServersFile(await serversFile(t, { weather: entry(fields) }), options)
  if (spec?.kind !== 'stdio') throw new Error('no stdio server')
  return spec
}

const refusal = (field: string, rule: string | RegExp) => typeof rule === 'string'
  ? { code: 'MCPC_ERR_CONFIG', message: `MCP_SERVERS_FILE: server "weather": ${field} ${rule}` }
  : { code: 'MCPC_ERR_CONFIG', message: rule }

const onlyRoot = (uid: number) =>
  `must be ${uid}, the service's own user: only a service that runs as root can start another user's`

t.test('the service\'s own user may be named by any service', async t => {
  t.strictSame((await specOf(t, { uid: own })).user, { uid: own })
  const gid = process.getgid?.() ?? 0
  t.strictSame((await specOf(t, { uid: own, gid })).user, { uid: own, gid })
  t.equal((await specOf(t, {})).user, undefined)
})

t.test('another user is refused where the service is not root', async t => {
  if (isRoot) process.seteuid?.(65_534)
  const uid = process.geteuid?.() ?? 0
  try {
    for (const fields of [{ uid: 1234 }, { uid: 0 }, { uid: 1234, gid: 1234 }, { uid: 2_147_483_647 }]) {
      await t.rejects(specOf(t, fields), refusal('uid', onlyRoot(uid)), JSON.stringify(fields))
    }
    t.equal((await specOf(t, {})).user, undefined, 'an entry without a user is not tried')
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
})

/** What comes of an entry in a process that runs under `setpriv` with these options. */
function outcomeUnder (file: string, privileges: string[]): string {
  const built = join(import.meta.dirname, '../../dist/lib/mcp/servers-file/servers-file.js')
  const script = `
    import { readServersFile } from ${JSON.stringify(built)}
    try {
      readServersFile(${JSON.stringify(file)}, ${JSON.stringify(options)})
      console.log('taken')
    } catch ({ message }) {
      console.log(message.replace('MCP_SERVERS_FILE: server "weather": ', ''))
    }
  `
  const node = [process.execPath, '--input-type=module', '-e', script]
  const { stdout, stderr } = spawnSync('setpriv', [...privileges, ...node], { encoding: 'utf8' })
  return stdout.trim() || stderr
}

t.test('root may start another user\'s server only if it can end it, and if nothing leads back', async t => {
  const cannot = 'cannot be used'
  const lackingKill = `uid ${cannot}: the service could not end the server, for it lacks CAP_KILL`
  const cases: Array<[privileges: string[], fields: object, outcome: string]> = [
    [[], { uid: 1234 }, 'taken'],
    [[], { uid: 1234, gid: 1234 }, 'taken'],
    [['--no-new-privs'], { uid: 1234, gid: 1234 }, 'taken'],
    [['--groups', '4,24'], { uid: 1234 }, 'taken'],
    [['--bounding-set', '-all,+setuid,+setgid,+kill'], { uid: 1234, gid: 1234 }, 'taken'],
    [['--bounding-set', '-kill'], { uid: 1234 }, lackingKill],
    [['--bounding-set', '-all'], { uid: 1234 }, lackingKill],
    [['--bounding-set', '-setuid'], { uid: 1234 }, `uid ${cannot}: no process can be started as user 1234 (EPERM)`],
    [
      ['--bounding-set', '-setgid'], { uid: 1234, gid: 4321 },
      `uid ${cannot}: no process can be started as user 1234 and group 4321 (EPERM)`
    ],
    [
      ['--groups', '4,24', '--bounding-set', '-setgid'], { uid: 1234 },
      `uid ${cannot}: the server would keep groups of the service`
    ],
    [
      ['--inh-caps', '+setuid', '--ambient-caps', '+setuid', '--securebits', '+no_setuid_fixup'], { uid: 1234 },
      `uid ${cannot}: the server would keep capabilities of the service`
    ],
    [['--bounding-set', '-all'], { uid: 0 }, 'taken']
  ]
  for (const [privileges, fields, outcome] of cases) {
    const file = await serversFile(t, { weather: entry(fields) })
    const title = `${privileges.join(' ')} ${JSON.stringify(fields)}`
    if (isRoot) t.equal(outcomeUnder(file, privileges), outcome, title)
    else await t.rejects(specOf(t, fields), refusal('uid', onlyRoot(own)), title)
  }
})

t.test('a service that got its capabilities without being root is refused, too', async t => {
  const file = await serversFile(t, { weather: entry({ uid: 1234 }) })
  const caps = '+setuid,+setgid,+kill'
  const privileges = ['--reuid', '1000', '--clear-groups', '--inh-caps', caps, '--ambient-caps', caps]
  // The test's folder is root's.
  await chmod(join(file, '..'), 0o755)
  if (isRoot) t.equal(outcomeUnder(file, privileges), `uid ${onlyRoot(1000)}`)
  else await t.rejects(specOf(t, { uid: 1234 }), refusal('uid', onlyRoot(own)))
})

t.test('the folder and the command must be the user\'s to use', async t => {
  const folder = await makeFolder(t)
  await mkdir(join(folder, 'open'))
  await copyFile('/bin/true', join(folder, 'command'))
  await chmod(join(folder, 'command'), 0o700)
  const user = { uid: isRoot ? 65_534 : own }
  if (!isRoot) {
    t.ok(await specOf(t, { ...user, cwd: folder, command: './command' }), 'the own user may use what is its own')
    return
  }
  const noFolder = (path: string) =>
    refusal('cwd', `must be a folder that user 65534 may enter, but ${path} is none`)
  const noCommand = (path: string) => refusal('command', `must be an executable of user 65534, but ${path} is none`)
  await t.rejects(specOf(t, { ...user, cwd: folder }), noFolder(folder))
  await t.rejects(specOf(t, { ...user, cwd: join(folder, 'open') }), noFolder(join(folder, 'open')), 'below a closed one')
  await t.rejects(specOf(t, { ...user, command: join(folder, 'command') }), noCommand(join(folder, 'command')))
  await chmod(folder, 0o755)
  t.equal((await specOf(t, { ...user, cwd: folder })).cwd, folder)
  await t.rejects(specOf(t, { ...user, command: join(folder, 'command') }), noCommand(join(folder, 'command')))
  await chmod(join(folder, 'command'), 0o711)
  t.equal((await specOf(t, { ...user, cwd: folder, command: './command' })).command, join(folder, 'command'))

  const odd = join(folder, '-e $(id)\n\'')
  await mkdir(odd)
  t.equal((await specOf(t, { ...user, cwd: odd })).cwd, odd, 'whatever it is called')
})

t.test('the user is part of the identity, and the environment is not the service\'s user\'s', async t => {
  const alone = await specOf(t, {})
  const named = await specOf(t, { uid: own })
  t.not(named.identity, alone.identity)
  t.not((await specOf(t, { uid: own, gid: process.getgid?.() ?? 0 })).identity, named.identity)
  t.strictSame(Object.keys(alone.env), ['HOME', 'PATH', 'USER'])
  t.strictSame(Object.keys(named.env), ['PATH'])
  t.equal((await specOf(t, { uid: own, env: { HOME: '/srv' } })).env.HOME?.fill({}), '/srv', 'but for what the entry says')
})
