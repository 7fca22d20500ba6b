/* eslint-disable no-template-curly-in-string -- placeholders of the servers file look like those of JavaScript */
import t from 'tap'
import { resolveScript } from '../../../../lib/mcp/servers-file/script-server.ts'
import { fillCommand } from '../../../../lib/mcp/servers-file/server-spec.ts'
import { fixture } from '../../../support/paths.ts'

const node = process.execPath
const host = { PATH: process.env.PATH, API_KEY: 'key-of-the-operator' }

t.test('a script is a server of its own name, started as it was written', async t => {
  const spec = resolveScript(fixture('tiny-server.mjs'), { host, validation: 'off' })
  t.match(spec, {
    kind: 'stdio', name: 'tiny-server', prefix: 'tiny-server', timeouts: {}, command: node, lifecycle: 'request'
  })
  t.strictSame(fillCommand(spec, {}).args, [fixture('tiny-server.mjs')])

  const path = `${t.testdir({ '${env.API_KEY}.mjs': '' })}/\${env.API_KEY}.mjs`
  t.strictSame(fillCommand(resolveScript(path, { host, validation: 'off' }), {}).args, [path], 'a script is no template')
})
