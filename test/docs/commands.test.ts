import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { makeFolder } from '../support/folders.ts'

/** The project's folder: the tests are built elsewhere, where package.json is a link. */
const root = dirname(realpathSync(join(import.meta.dirname, '..', '..', 'package.json')))
const pages = readdirSync(join(root, 'docs')).filter(name => name.endsWith('.md')).map(name => join('docs', name))
const documents = ['README.md', 'examples/README.md', 'bench/README.md', ...pages]

/** Shell blocks of a document. */
const blocksOf = (document: string) =>
  [...readFileSync(join(root, document), 'utf8').matchAll(/^```(?:sh|bash|shell|console)\n(.*?)^```$/gms)]
    .map(([, block = '']) => block)

/** The commands of a block, without comments; one that goes on in the next line is one. */
const commandsIn = (block: string) =>
  block.replaceAll(/\\\n\s*/g, '').split('\n').map(line => line.replace(/(^|\s+)#.*$/, '').trim()).filter(line => line !== '')
const commands = documents.flatMap(document =>
  blocksOf(document).flatMap(commandsIn).map(command => ({ document, command })))

const bench = 'minutes of load, whose numbers are read by a person; test/long/siege.test.ts runs the short form of one'
const foreign = 'a package of somebody else, which the project does not install; the recipe says what was tried'

/**
 * Each command of the docs: the file below test/ that runs it or does what it does, or why none can. A new command
 * fails until it is here.
 */
const accounts: Array<[RegExp, { heldBy: string } | { why: string }]> = [
  [/^npm run quickstart$/, { heldBy: 'e2e/quickstart' }],
  [/^TOKEN=\$\(node examples\/sign-token\.mjs\)$/, { heldBy: 'examples/demo-api' }],
  [/^curl -s localhost:33000\/(init|tools|call-tool|shutdown) -d /, { heldBy: 'docs' }],
  [/^curl localhost:8765\/|^curl 'localhost:8765\/|^node examples\/demo-api\.mjs$/, { heldBy: 'examples/demo-api' }],
  [/^curl -i --compressed localhost:33000\/tools\?server=/, { heldBy: 'routes/tools' }],
  [/^curl -s localhost:33000\/health$/, { heldBy: 'routes/health' }],
  [/^curl -s \$URL\/call-tool -H 'Idempotency-Key: /, { heldBy: 'routes/call-events' }],
  [/^curl -si \$URL\/call-tool -H 'Prefer: respond-async' /, { heldBy: 'routes/call-events' }],
  [/^curl -s(N| -X DELETE)? "?\$URL\/calls\/\$CALL/, { heldBy: 'routes/call-events' }],
  [/^URL=http:\/\/127|^REF=\$\(curl |^curl -s "?\$URL\/results\/\$REF|^curl -s \$URL\/call-tool -d .*(reference|\$REF)/,
    { heldBy: 'docs/results' }],
  [/^curl localhost:33000\/tools\/list_sources -H 'X-Session-Id: /, { heldBy: 'routes/tool' }],
  [/^curl -s http:\/\/127\.0\.0\.1:33000\/(sessions|call-tool)/, { heldBy: 'long/docs-page' }],
  [/^curl -s http:\/\/127\.0\.0\.1:33000\/openapi\.json|^npx @hey-api\/openapi-ts /, { heldBy: 'long/generated-steps' }],
  [/^curl -s 'http:\/\/127\.0\.0\.1:33000\/openapi\.json\?operations=tools'/, { heldBy: 'long/open-webui' }],
  [/^curl -s localhost:9464\/metrics$/, { heldBy: 'long/prometheus' }],
  [/^npm run dev$/, { heldBy: 'scripts/signals' }],
  [/^npm start$|^node --v8-pool-size=1 scripts\/start\.mjs$|^(MCP_|REDIS_)\S+ (MCP_\S+ )?npm start$/, { heldBy: 'e2e/start' }],
  [/^npm install --no-save @opentelemetry\//, { why: 'they are among the devDependencies, in these versions' }],
  [/^OTEL_\S+ node --v8-pool-size=1 --import \.\/examples\/tracing\.mjs /, { heldBy: 'examples/tracing' }],
  [/^npm run nodes$/, { heldBy: 'long/nodes' }],
  [/^npm run api-key -- billing$/, { heldBy: 'scripts/api-key' }],
  [/^mkdir -m 700 deploy\/secrets|^openssl rand -hex 24 > |^echo "k1:|^node \.\.\/\.\.\/scripts\/api-key\.mjs|^chmod 444 \*|^echo 'MCP_API_BASE_URL/,
    { heldBy: 'docs/commands' }],
  [/^SERVERS_FILE=\S+ docker compose /, { heldBy: 'long/compose' }],
  [/^kubectl apply -k /, { heldBy: 'long/kustomize' }],
  [/^([A-Z_]+=("[^"]*"|<[^>]*>|\S)*( |$))+$/, { heldBy: 'docs' }],
  [/^REDIS_(USERNAME=mcp REDIS_)?(SENTINEL_)?PASSWORD=<password of /, { heldBy: 'docs' }],
  [/^(npm test|.*npm test -- .*|npm run (lint|typecheck)|\.ci\/run)$/, { why: 'it is this run, or .ci/run runs it' }],
  [/^npm ci && npm run build && npm ci --omit=dev$/, { why: 'check:dockerfile runs the three in .ci/run' }],
  [/^npm run bench(:peers|:budget|:workers)?( |$)|^node bench\//, { why: bench }],
  [/^docker (build|run) /, { why: 'no Docker engine; check:dockerfile follows the Dockerfile' }],
  [/^for port in 33000|^until curl -fs |^sleep 6$|^done$/, {
    why: 'a loop over units of systemd; test/long/rolling-restart.test.ts restarts workers in the same way'
  }],
  [/^(systemctl|journalctl) /, { why: 'no systemd; test/long/systemd.test.ts has the units' }],
  [/^kubectl -n mcp create secret /, { why: 'no cluster; test/long/kustomize.test.ts gives the service such secrets' }],
  [/^redis-cli /, { why: 'a look into a Redis at port 6379, which tests leave alone; the keys are in test/lib/sessions' }],
  [/^npx (@playwright|supergateway|-y -p mcp-remote|@modelcontextprotocol\/inspector)|^npm install supergateway/, { why: foreign }]
]

t.test('each command of the docs is run by a test, or it is said why not', async t => {
  t.ok(commands.length > 70)
  for (const { document, command } of commands) {
    const found = accounts.filter(([pattern]) => pattern.test(command))
    t.ok(found.length > 0, `${document}: ${command}`)
  }
  for (const [pattern, account] of accounts) {
    t.ok(commands.some(({ command }) => pattern.test(command)), `${pattern} is in the docs`)
    if ('heldBy' in account) t.ok(existsSync(join(root, 'test', `${account.heldBy}.test.ts`)), account.heldBy)
    else t.ok(account.why.length > 20)
  }
})

t.test('the commands of Compose make the files that it needs', async t => {
  const block = blocksOf('docs/deployment.md').find(text => text.startsWith('mkdir -m 700 deploy/secrets')) ?? ''
  const folder = await makeFolder(t)
  mkdirSync(join(folder, 'deploy'))
  symlinkSync(join(root, 'scripts'), join(folder, 'scripts'))
  const withoutDocker = block.split('\n').filter(line => !line.includes('docker compose')).join('\n')
  execFileSync('sh', ['-ec', withoutDocker], { cwd: folder, stdio: 'pipe' })

  const read = (name: string) => readFileSync(join(folder, 'deploy', name), 'utf8').trim()
  t.strictSame(readdirSync(join(folder, 'deploy', 'secrets')).sort(),
    ['api-keys', 'charts-token', 'encryption-keys', 'redis-password'])
  t.match(read('secrets/api-keys'), /^billing:[0-9a-f]{64}$/)
  t.match(read('secrets/encryption-keys'), /^k1:[\w+/]{43}=$/)
  for (const name of ['redis-password', 'charts-token']) t.match(read(`secrets/${name}`), /^[0-9a-f]{48}$/)
  t.equal(read('mcp-client.env'), 'MCP_API_BASE_URL=https://api.example.com')
})
