import t from 'tap'

import { inheritedEnvironment, proxiesIn } from '../../../../lib/mcp/servers-file/host-environment.ts'
import { resolveScript } from '../../../../lib/mcp/servers-file/script-server.ts'
import { fillCommand } from '../../../../lib/mcp/servers-file/server-spec.ts'
import { readServersFile } from '../../../../lib/mcp/servers-file/servers-file.ts'
import { fixture } from '../../../support/paths.ts'
import { policyDefaults, serversFile } from '../../../support/servers-file.ts'

const environmentIn = (host: Record<string, string>) =>
  fillCommand(resolveScript(fixture('tiny-server.mjs'), { host, validation: 'off' }), {}).env

t.test('a server inherits where Node keeps compiled code, when it is set, and no secret of ours', async t => {
  const host = { PATH: '/usr/bin', NODE_COMPILE_CACHE: '/var/cache/servers' }
  t.strictSame(environmentIn({ ...host, REDIS_PASSWORD: 'not-a-real-password' }), host)
  t.strictSame(environmentIn({ PATH: '/usr/bin' }), { PATH: '/usr/bin' }, 'the service sets none itself')
})

t.test('a server of another user inherits nothing that is about the service\'s user', async t => {
  const ofTheUser = {
    HOME: '/root', LOGNAME: 'root', SHELL: '/bin/sh', USER: 'root', TMPDIR: '/root/tmp', NODE_COMPILE_CACHE: '/var/cache'
  }
  const host = { PATH: '/usr/bin', LANG: 'C', VIRTUAL_ENV: '/opt/venv', ...ofTheUser }
  t.strictSame(inheritedEnvironment(host), host)
  t.strictSame(inheritedEnvironment(host, { uid: 1234 }), { PATH: '/usr/bin', LANG: 'C', VIRTUAL_ENV: '/opt/venv' })
})

t.test('a server is told of a folder for compiled code, its entry\'s own, unless it has a user or says another', async t => {
  const mcpServers = {
    one: { command: process.execPath, args: ['one.mjs'] },
    two: { command: process.execPath, args: ['two.mjs'] },
    same: { command: process.execPath, env: { NODE_COMPILE_CACHE: '/srv/own' } },
    none: { command: process.execPath, env: { NODE_COMPILE_CACHE: '' } },
    user: { command: process.execPath, uid: process.geteuid?.() ?? 0 }
  }
  const file = await serversFile(t, mcpServers)
  const foldersWith = (compileCache: string | null, host = {}) => Object.fromEntries(
    readServersFile(file, { host, compileCache, sensitiveParams: [], policyDefaults }).map(spec =>
      [spec.name, spec.kind === 'stdio' ? fillCommand(spec, {}).env.NODE_COMPILE_CACHE : null]))

  const { one, two, ...others } = foldersWith('/cache', { NODE_COMPILE_CACHE: '/inherited' })
  t.match(one, /^\/cache\/[\w-]{43}$/)
  t.match(two, /^\/cache\/[\w-]{43}$/)
  t.not(one, two)
  t.strictSame(others, { same: '/srv/own', none: '', user: undefined })
  t.equal(foldersWith('/cache').one, one, 'the same for every worker and every start')

  const inherited = foldersWith(null, { NODE_COMPILE_CACHE: '/inherited' })
  t.strictSame(inherited, { one: '/inherited', two: '/inherited', same: '/srv/own', none: '', user: undefined })

  const script = resolveScript(fixture('tiny-server.mjs'), { host: {}, validation: 'off', compileCache: '/cache' })
  t.equal(fillCommand(script, {}).env.NODE_COMPILE_CACHE, `/cache/${script.identity}`)
})

t.test('the proxies of the environment are read in both spellings', async t => {
  const one = 'http://user:pass@proxy.example:3128'
  t.strictSame(proxiesIn({}), { http: '', https: '', no: '' })
  t.strictSame(proxiesIn({ HTTP_PROXY: one, HTTPS_PROXY: 'https://other', NO_PROXY: 'a, b' }), {
    http: one, https: 'https://other', no: 'a, b'
  })
  t.strictSame(proxiesIn({ http_proxy: one, HTTP_PROXY: 'http://other', https_proxy: '', no_proxy: '*' }), {
    http: one, https: '', no: '*'
  })
  for (const value of ['proxy:3128', 'socks5://proxy', 'file:///proxy', 'not a url', 'http://50%:off@proxy']) {
    t.throws(() => proxiesIn({ HTTPS_PROXY: value }), {
      message: 'HTTPS_PROXY must be an http(s) URL with MCP_UPSTREAM_PROXY=env, but is a value that is not shown'
    }, value)
  }
})
