import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Value } from 'typebox/value'
import { EnvironmentSchema } from '../../lib/config/environment.ts'

const { MCP_CLIENT_PORT: port } = Value.Default(EnvironmentSchema, {}) as { MCP_CLIENT_PORT: number }
const root = join(import.meta.dirname, '..', '..')
const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8')
const instructions = dockerfile
  .split('\n')
  .filter(line => !line.startsWith('#'))
  .join('\n')
  .replace(/\\\n\s*/g, ' ')
  .split('\n')
  .filter(line => line !== '')
const finalStage = instructions.slice(instructions.findLastIndex(line => line.startsWith('FROM ')))
const ofFinal = (name: string) =>
  finalStage.filter(line => line.startsWith(`${name} `)).map(line => line.slice(name.length + 1))

t.test('the image does not run as root', async t => {
  t.strictSame(ofFinal('USER'), ['node'])
})

t.test('the image has an init process that starts the service as npm start does', async t => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: { start: string } }
  t.strictSame(ofFinal('ENTRYPOINT'), ['["/usr/bin/tini", "--"]'])
  t.strictSame(
    ofFinal('CMD').map(command => (JSON.parse(command) as string[]).join(' ')),
    [scripts.start.replace(/^exec /, '')] // npm's shell, which the image has not got
  )
})

t.test('the image tells Docker how it is, without a tool that it has not got', async t => {
  const [health = ''] = ofFinal('HEALTHCHECK')
  t.match(health, /\/livez`/)
  t.notMatch(health, /curl|wget/)
  t.match(health, `process.env.MCP_CLIENT_PORT || ${port}`)
  t.strictSame(ofFinal('EXPOSE'), [String(port)])
})

t.test('the image is built in two stages from one base, and copies by name', async t => {
  const stages = instructions.filter(line => line.startsWith('FROM '))
  t.equal(stages.length, 2)
  for (const stage of stages) t.match(stage, /^FROM \$\{NODE_IMAGE\}( AS build)?$/)
  t.match(instructions[0], /^ARG NODE_IMAGE=node:24-\S+-slim$/, 'the current LTS of Node')
  for (const line of instructions.filter(line => /^(COPY|ADD) /.test(line))) { t.notMatch(line, /^ADD | \. |\*|\.env/, line) }
})

t.test('the image holds no secret and no setting', async t => {
  t.strictSame(ofFinal('ENV'), ['NODE_ENV=production'])
  t.notMatch(dockerfile, /PASSWORD|TOKEN|SECRET|^ARG (?!NODE_IMAGE|REVISION)/im)
})

t.test('secrets and what is not copied stay out of the build context', async t => {
  const ignored = readFileSync(join(root, '.dockerignore'), 'utf8').split('\n')
  for (const name of ['.git', '.env', '.env.*', '.data', 'node_modules', 'dist', 'test']) { t.ok(ignored.includes(name), name) }
})

t.test('the labels say what package.json says, and name no place', async t => {
  const text = ofFinal('LABEL').join(' ')
  const labels = Object.fromEntries([...text.matchAll(/org\.opencontainers\.image\.(\w+)="([^"]*)"/g)]
    .map(([, name = '', value]) => [name, value]))
  const { version, description, license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as
    Record<string, string>
  t.strictSame(labels, { title: 'mcp-client', description, version, revision: '$REVISION', licenses: license })
  t.notMatch(text, /https?:|\//)
})
