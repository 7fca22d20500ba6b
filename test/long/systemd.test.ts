import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { installDebianPackages } from '../../scripts/debian.mjs'
import { makeFolder } from '../support/folders.ts'
import { fixture, root } from '../support/paths.ts'
import { freePort } from '../support/ports.ts'
import { callAt, openSession } from '../support/requests.ts'
import { environment, spawnService } from '../support/service.ts'
import { until } from '../support/wait.ts'

t.setTimeout(170_000)

for (const [command, ...packages] of [['systemd-analyze', 'systemd'], ['strace', 'strace']] as const) {
  if (spawnSync(command, ['--version']).error === undefined) continue
  if (!installDebianPackages(packages, `The tests run ${command}, and there is none.`)) throw new Error(`no ${command}`)
}

const units = ['mcp-client@.service', 'mcp-server@.service']
const read = (unit: string) => readFileSync(join(root, 'deploy', unit), 'utf8')
const analyze = (...args: string[]) => spawnSync('systemd-analyze', args, { encoding: 'utf8' })

/** A copy of a unit in a folder of its own, by the name that it has when it runs. */
async function unitFile (t: Test, unit: string, text = read(unit)): Promise<string> {
  const file = join(await makeFolder(t), unit.replace('@', '@33000'))
  await writeFile(file, text)
  return file
}

/** How exposed a unit is, by systemd's own count: 0 is closed, 10 is open. */
function exposureOf (file: string): number {
  const { stdout, stderr } = analyze('security', '--offline=true', file)
  const [, level] = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout) ?? []
  if (level === undefined) throw new Error(`systemd-analyze gave no level: ${stdout}${stderr}`)
  return Number(level)
}

t.test('systemd takes the units, and finds them closed', async t => {
  for (const unit of units) {
    // Programs and accounts that the unit names are not on this machine.
    const text = read(unit).replaceAll('/usr/bin/node', process.execPath).replace(/^(User|Group)=.*$/gm, '$1=daemon')
    const { stdout, stderr } = analyze('verify', '--man=no', await unitFile(t, unit, text))
    t.equal(`${stdout}${stderr}`.split('\n').filter(line => line.includes(unit.split('@')[0] ?? '')).join('\n'), '', unit)

    const exposure = exposureOf(await unitFile(t, unit))
    t.ok(exposure <= 3, `${unit}: ${exposure}`)
    const open = read(unit).replace(/^(Protect|Private|Restrict|SystemCall|Capability|DynamicUser|NoNew).*\n/gm, '')
    t.ok(exposureOf(await unitFile(t, unit, open)) > 6, 'the same without its sandbox')
  }
})

t.test('a line that systemd does not know is found', async t => {
  const [unit = ''] = units
  const { stdout, stderr } = analyze('verify', '--man=no', await unitFile(t, unit, read(unit).replace('ProtectClock=', 'ProtectClocks=')))
  t.match(`${stdout}${stderr}`, /Unknown key.+ProtectClocks/)
})

/** The names of all system calls of a group, with those of the groups in it. */
function callsOf (group: string): string[] {
  const { stdout } = analyze('syscall-filter', group)
  const lines = stdout.split('\n').map(line => line.trim().split(' ')[0] ?? '').slice(1)
  return lines.flatMap(name => name.startsWith('@') ? callsOf(name) : /^\w+$/.test(name) ? [name] : [])
}

t.test('the sandbox lets the service and an MCP server do all that they do', async t => {
  const groupsOf = (unit: string) =>
    /^SystemCallFilter=((?:@[\w-]+ ?)+)$/m.exec(read(unit))?.[1]?.split(' ') ?? []
  const [groups = [], ...others] = units.map(groupsOf)
  for (const other of others) t.strictSame(other, groups, 'an MCP server needs what Node needs, too')
  const allowed = new Set(groups.flatMap(callsOf))
  t.ok(allowed.size > 200)
  for (const name of ['mount', 'ptrace', 'reboot', 'init_module', 'unshare_no_such_call']) t.notOk(allowed.has(name), name)

  const trace = join(await makeFolder(t), 'trace')
  const port = await freePort()
  const start = join(await makeFolder(t), 'start.mjs')
  await writeFile(start, [
    "import { spawn } from 'node:child_process'",
    `const child = spawn('strace', ['-f', '-qq', '-o', '${trace}', process.execPath, '${join(root, 'scripts', 'start.mjs')}'], { stdio: 'inherit' })`,
    "child.once('exit', code => process.exit(code ?? 1))"
  ].join('\n'))
  const env = await environment(t, {
    MCP_CLIENT_HOST: '127.0.0.1', MCP_CLIENT_PORT: String(port), MCP_SERVER_SCRIPT: fixture('tiny-server.mjs')
  })
  const { output, exited } = await spawnService(t, env, { command: [start] })
  await until(() => output().includes('Server listening'), 'the service listens')
  const service = { url: `http://127.0.0.1:${port}` }
  const id = await openSession(service)
  t.match(await callAt(service, id, 'echo', { text: 'hello' }), { status: 200 })
  const pid = Number(/"pid":(\d+)/.exec(output())?.[1])
  process.kill(pid, 'SIGTERM')
  t.match(await exited, { code: 0 })

  const used = new Set([...(await readFile(trace, 'utf8')).matchAll(/^\d+ +(\w+)\(/gm)].map(([, name = '']) => name))
  for (const name of ['execve', 'accept4', 'connect', 'kill']) t.ok(used.has(name), `${name} was seen`)
  t.strictSame([...used].filter(name => !allowed.has(name)), [])
})
