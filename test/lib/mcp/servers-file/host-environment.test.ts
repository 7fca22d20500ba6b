import t from 'tap'

import { inheritedEnvironment, proxiesIn } from '../../../../lib/mcp/servers-file/host-environment.ts'
import { resolveScript } from '../../../../lib/mcp/servers-file/script-server.ts'
import { fillCommand } from '../../../../lib/mcp/servers-file/server-spec.ts'
import { fixture } from '../../../support/paths.ts'

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
