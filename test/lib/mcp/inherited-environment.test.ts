import t from 'tap'
import { specFromScript } from '../../../lib/mcp/server-spec.ts'
import { fixture } from '../../helper.ts'

t.test('a server inherits where Node keeps compiled code, when the operator says it, and no secret of ours', async t => {
  const { env } = specFromScript(fixture('tiny-server.mjs'), { PATH: '/usr/bin', NODE_COMPILE_CACHE: '/var/cache/servers', REDIS_PASSWORD: 'not-a-real-password' })
  t.strictSame(env, { PATH: '/usr/bin', NODE_COMPILE_CACHE: '/var/cache/servers' })
  t.strictSame(specFromScript(fixture('tiny-server.mjs'), { PATH: '/usr/bin' }).env, { PATH: '/usr/bin' }, 'the service sets none itself')
})
