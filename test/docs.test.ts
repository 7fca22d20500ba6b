import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { signDemoToken, startDemoApi } from '../examples/demo-api.mjs'
import { EnvironmentSchema } from '../lib/config/environment.ts'
import { statusOfCodes } from '../lib/errors.ts'
import { redisClient } from './support/redis.ts'
import { build } from './support/service.ts'

const root = join(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const pages = readdirSync(join(root, 'docs')).filter(name => name.endsWith('.md')).map(name => join('docs', name))
const documents = ['README.md', 'CHANGELOG.md', 'examples/README.md', ...pages]

/** Code blocks, and code within lines. */
function codeIn (markdown: string): string[] {
  const matches = markdown.matchAll(/^```\w*\n(.*?)^```$|`([^`\n]+)`/gms)
  return [...matches].map(([, block, span]) => block ?? span ?? '')
}

async function describedEndpoints (t: Test): Promise<string[]> {
  const app = await build(t)
  const endpoints = Object.entries(app.swagger().paths ?? {}).flatMap(([path, methods]) =>
    Object.keys(methods ?? {}).map(method => `${method.toUpperCase()} ${path}`))
  return endpoints.sort()
}

t.test('every link to a file leads to one', async t => {
  for (const document of documents) {
    for (const [, target = ''] of read(document).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^(https?:|#)/.test(target)) continue
      const file = target.replace(/#.*/, '')
      t.ok(existsSync(join(root, dirname(document), file)), `${document}: ${target}`)
    }
  }
})

t.test('the README names every endpoint that is described, and no others', async t => {
  const undescribed = ['GET /docs', 'GET /openapi.json']
  const named = [...read('README.md').matchAll(/^\| `([A-Z]+ \/\S*)` \|/gm)].map(([, endpoint = '']) => endpoint).sort()
  t.strictSame(named, [...await describedEndpoints(t), ...undescribed].sort())

  const app = await build(t)
  for (const endpoint of undescribed) t.ok((await app.inject(endpoint.replace('GET ', ''))).statusCode < 400, endpoint)
})

t.test('docs/api.md has a section for every endpoint that is described, and no others', async t => {
  const headings = read('docs/api.md').matchAll(/^## `([A-Z]+ \/\S*)`$/gm)
  const sections = [...headings].map(([, endpoint = '']) => endpoint).sort()
  t.strictSame(sections, await describedEndpoints(t))
})

t.test('every npm script that is named exists', async t => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const ownCommands = new Set(['ci', 'install'])
  let found = 0
  for (const document of documents) {
    for (const code of codeIn(read(document))) {
      for (const [, run, name = ''] of code.matchAll(/\bnpm (run )?([a-z][\w:-]*)/g)) {
        if (run === undefined && ownCommands.has(name)) continue
        found++
        t.ok(Object.hasOwn(scripts, name), `${document}: npm ${run ?? ''}${name}`)
      }
    }
  }
  t.ok(found > 10)
})

t.test('every variable and every error code that is named exists', async t => {
  const codes = new Set(statusOfCodes.keys())
  for (const document of documents) {
    for (const [name] of read(document).matchAll(/\b(MCPC_ERR|MCP|REDIS)_[A-Z_]*[A-Z]\b/g)) {
      const exists = name.startsWith('MCPC_') ? codes.has(name) : Object.hasOwn(EnvironmentSchema.properties, name)
      t.ok(exists, `${document}: ${name}`)
    }
  }
})

/** Titles of all tests, as they are written, with their file below test/. */
const tests = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .filter(file => /\.test\.[jt]s$/.test(file))
  .flatMap(file => [...read(join('test', file)).matchAll(/\bt\.test\(\s*(['"`])(.*?[^\\])\1,/g)]
    .map(([, , title = '']) => ({ file: file.replace(/\.test\.[jt]s$/, ''), title: title.replaceAll('\\', '') })))
const titles = tests.map(({ title }) => title)

/** The rows of all tables in a text, each as its cells. */
const rowsOf = (text: string) => [...text.matchAll(/(?:^\|.*\|\n)+/gm)]
  .flatMap(([table]) => table.trim().split('\n').slice(2))
  .map(row => row.slice(1, -1).split('|').map(cell => cell.trim()))

t.test('every row of the threat model names a test that there is', async t => {
  const rows = rowsOf(read('docs/security.md').split('## Who can do what')[1]?.split('\n## ')[0] ?? '')
  t.ok(rows.length > 20)
  for (const row of rows) {
    const test = row.at(-1) ?? ''
    t.ok(test !== '' && titles.some(title => title.includes(test)), row.join(' | '))
  }
})

t.test('every demand of the protocol names a test and its file, or says why there is none', async t => {
  const rows = rowsOf(read('docs/protocol.md'))
  t.ok(rows.length > 100)
  for (const row of rows) {
    const [demand = '', level = '', heldBy = '', where = ''] = row
    const file = where.replaceAll('`', '')
    const isHeld = heldBy.length > 10 && tests.some(test => test.file === file && test.title.includes(heldBy))
    const isExplained = where === '' && /^(does not apply|not held): .{10}/.test(heldBy)
    t.ok(demand !== '' && /^(MUST|SHOULD)( NOT)?(, (MUST|SHOULD)( NOT)?)?$/.test(level), row.join(' | '))
    t.ok(isHeld || isExplained, row.join(' | '))
  }
})

t.test('the session in the README is what the service answers', async t => {
  const api = await startDemoApi()
  t.teardown(() => api.close())
  const token = await signDemoToken()
  const app = await build(t, {
    MCP_SERVER_SCRIPT: join(root, 'examples', 'mcp-server.mjs'),
    MCP_GUIDANCE_FILE: join(root, 'examples', 'guidance.json'),
    MCP_API_BASE_URL: api.url,
    MCP_SKIP_VALIDATION: undefined
  })
  const steps = [...read('README.md').matchAll(/^curl -s localhost:33000(\S+) -d '(.+)'\n# (.+)$/gm)]
  const session = steps.map(([, url = '', body = '', shown = '']) => ({ url, body, shown }))
  t.equal(session.length, 11)

  const here = (text: string) => text.replaceAll('http://127.0.0.1:33001', api.url)
  for (const { url, body, shown } of session) {
    const response = await app.inject({ method: 'POST', url, payload: here(body).replace("'$TOKEN'", token) })
    t.match(response.body, asPattern(here(shown)), `${url} ${body}`)
    if (url === '/call-tool') t.notMatch(response.body, /chartData|intermediate|"rows"/, 'no rows')
    if (!body.includes('get_charts_data')) continue
    const redis = await redisClient(t)
    const rowBytes = await redis.hstrlen(`${app.config.session.keyPrefix}:demo`, 'p:chartData')
    const said = `The rows, ${Math.round(rowBytes / 1000)} kB in this case`
    t.ok(read('README.md').includes(said), `${rowBytes} bytes of rows`)
  }
})

/** An answer as a text shows it, with … for what the text leaves out. */
function asPattern (shown: string): RegExp {
  const pieces = shown.split('…').map(piece => piece.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  return new RegExp(`^${pieces.join('.*')}$`, 's')
}
