import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { fixture } from '../support/paths.ts'
import { post } from '../support/requests.ts'
import { serversFile, variable } from '../support/servers-file.ts'
import { listen } from '../support/service.ts'

const canaries = { OPERATOR_KEY: 'canary-operator-variable-4711', literal: 'canary-operator-literal-0815' }

t.test(
  'what the operator wrote for a server is in no error and in no log line, whatever the server repeats',
  async t => {
    // A server that tells everybody what it was sent.
    const parrot = createServer((request, response) => {
      const { authorization, 'x-key': key } = request.headers
      response
        .writeHead(500, { 'content-type': 'application/json' })
        .end(
          JSON.stringify({
            jsonrpc: '2.0',
            id: null,
            error: { code: -32_000, message: `cannot use ${authorization}, ${key} and ${request.url}` }
          })
        )
    }).listen(0, '127.0.0.1')
    await once(parrot, 'listening')
    t.teardown(() => parrot.close())

    const file = await serversFile(t, {
      http: {
        url: `http://127.0.0.1:${(parrot.address() as AddressInfo).port}/mcp?key=${variable('OPERATOR_KEY')}`,
        headers: { authorization: `Bearer ${variable('OPERATOR_KEY')}`, 'x-key': `Key ${canaries.literal}` }
      },
      stdio: {
        command: process.execPath,
        args: [fixture('zoo-server.mjs'), 'dies-at-start', variable('OPERATOR_KEY')]
      },
      env: {
        command: process.execPath,
        args: [
          '-e',
          'console.error("the keys", process.env.KEY, "and", process.env.API_TOKEN, "are not good"); process.exit(1)'
        ],
        env: { KEY: variable('OPERATOR_KEY'), API_TOKEN: canaries.literal }
      }
    })
    const service = await listen(t, {
      MCP_SERVERS_FILE: file,
      OPERATOR_KEY: canaries.OPERATOR_KEY,
      MCP_LOG_LEVEL: 'trace'
    })
    const session = { session_id: 'ours', apiUrl, jwtToken }
    const answers = []
    for (const [path, body] of [
      ['/init', {}],
      ['/tools', {}],
      ...['http', 'stdio', 'env'].map(server => ['/call-tool', { tool: `${server}__act` }])
    ] as Array<[string, object]>) {
      answers.push((await post(service.url + path, { ...session, ...body })).body)
    }
    await service.close()
    const text = JSON.stringify(answers)
    t.match(text, /cannot use .*hidden/, 'what the server said is there')
    t.match(text, /the keys \[hidden\] and \[hidden\] are not good/)
    for (const canary of Object.values(canaries)) {
      t.notOk(text.includes(canary), 'no answer')
      t.notOk(service.output().includes(canary), 'no log line')
    }
  }
)
