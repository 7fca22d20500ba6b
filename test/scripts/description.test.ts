import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { cases } from '../support/cases.ts'
import { makeFolder } from '../support/folders.ts'
import { root } from '../support/paths.ts'

const cli = join(root, 'node_modules', 'fastify-cli', 'cli.js')
const app = join(root, 'dist', 'app.js')

/** Settings of a service that runs elsewhere: on this machine, nothing that they name is there. */
const ofElsewhere = {
  REDIS_URL: 'redis://redis.elsewhere.invalid:6379',
  REDIS_PASSWORD_FILE: '/run/secrets/redis',
  MCP_SERVERS_FILE: '/etc/elsewhere/mcp.json',
  MCP_GUIDANCE_FILE: '/etc/elsewhere/guidance.md',
  MCP_AUDIT_LOG: '/proc/elsewhere/audit.log',
  MCP_ENCRYPTION_KEYS_FILE: '/run/secrets/keys',
  MCP_API_BASE_URL: 'http://api.elsewhere.invalid',
  MCP_BASE_PATH: '/tools-of-ours'
}

/** Runs a command in a folder and an environment that hold nothing but what is given. */
async function run (t: Test, args: string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: await makeFolder(t), env, encoding: 'utf8', timeout: 60_000
  })
  t.equal(status, 0, stderr)
  return stdout
}

const commands = [
  {
    args: [cli, 'print-routes', app],
    check: (t: Test, printed: string, basePath: string) => {
      t.match(printed, `${basePath}/call-tool (POST)`)
      t.match(printed, `${basePath}/readyz (GET`)
    }
  },
  {
    args: [cli, 'print-plugins', app],
    check: (t: Test, printed: string) => {
      for (const plugin of ['redis', 'server-runtime', 'tool-calls', 'openapi']) t.match(printed, new RegExp(`[─┬] ${plugin} `))
    }
  },
  {
    args: [join(root, 'scripts', 'openapi.mjs')],
    check: (t: Test, printed: string, basePath: string) => {
      const { openapi, paths, servers } = JSON.parse(printed)
      t.equal(openapi, '3.1.0')
      t.ok(Object.keys(paths).some(path => path.endsWith('/call-tool')))
      if (basePath !== '') t.match(JSON.stringify([servers, Object.keys(paths)]), basePath)
    }
  }
]

t.test('the service describes itself without Redis, servers, or the settings of either', async t => {
  const all = [{}, ofElsewhere].flatMap((env: Record<string, string>) => commands.map(command => ({ ...command, env })))
  for (const { args, env, check } of cases(all, 4)) check(t, await run(t, args, env), env.MCP_BASE_PATH ?? '')
})

t.test('the document can go to a file, and a faulty setting is named', async t => {
  const file = join(await makeFolder(t), 'openapi.json')
  t.equal(await run(t, [join(root, 'scripts', 'openapi.mjs'), file]), '')
  t.ok(JSON.parse(readFileSync(file, 'utf8')).paths)
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts', 'openapi.mjs')], {
    env: { MCP_BASE_PATH: 'no slash' }, encoding: 'utf8'
  })
  t.equal(status, 1)
  t.match(stderr, /^MCP_BASE_PATH must be [^\n]+\n$/)
})
