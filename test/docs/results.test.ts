import { execFile } from 'node:child_process'
import { readFileSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { startDemoApi, signDemoToken } from '../../examples/demo-api.mjs'
import { post } from '../support/requests.ts'
import { listen } from '../support/service.ts'

const root = dirname(realpathSync(join(import.meta.dirname, '..', '..', 'package.json')))
const run = promisify(execFile)

/** What a block shows of its answers, with … for what it leaves out. */
function asPattern (shown: string): RegExp {
  const pieces = shown.split('…').map(piece => piece.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  return new RegExp(`^${pieces.join('.*')}$`, 's')
}

t.test('the commands of docs/results.md give what they show', async t => {
  const api = await startDemoApi()
  t.teardown(() => api.close())
  const service = await listen(t, {
    MCP_SERVER_SCRIPT: join(root, 'examples', 'mcp-server.mjs'),
    MCP_API_BASE_URL: api.url,
    MCP_SKIP_VALIDATION: undefined
  })
  const opening = { session_id: 'demo', apiUrl: api.url, jwtToken: await signDemoToken() }
  t.equal((await post(`${service.url}/init`, opening)).status, 200)

  const page = readFileSync(join(root, 'docs', 'results.md'), 'utf8')
  const blocks = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block)
  t.equal(blocks.length, 3)
  for (const block of blocks) {
    const lines = block.trim().split('\n')
    const shown = lines.filter(line => line.startsWith('# ')).map(line => line.slice(2)).join('')
    const commands = lines.filter(line => !line.startsWith('# ') && !line.startsWith('URL='))
    const { stdout } = await run('sh', ['-ec', commands.join('\n')], { env: { ...process.env, URL: service.url } })
    t.match(stdout, asPattern(shown), shown.slice(0, 60))
  }
})
