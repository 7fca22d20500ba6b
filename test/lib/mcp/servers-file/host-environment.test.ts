import t from 'tap'

import { resolveScript } from '../../../../lib/mcp/servers-file/script-server.ts'
import { fillCommand } from '../../../../lib/mcp/servers-file/server-spec.ts'
import { fixture } from '../../../support/paths.ts'

const environmentIn = (host: Record<string, string>) =>
  fillCommand(resolveScript(fixture('tiny-server.mjs'), host), {}).env

t.test('a server inherits where Node keeps compiled code, when it is set, and no secret of ours', async t => {
  const host = { PATH: '/usr/bin', NODE_COMPILE_CACHE: '/var/cache/servers' }
  t.strictSame(environmentIn({ ...host, REDIS_PASSWORD: 'not-a-real-password' }), host)
  t.strictSame(environmentIn({ PATH: '/usr/bin' }), { PATH: '/usr/bin' }, 'the service sets none itself')
})
