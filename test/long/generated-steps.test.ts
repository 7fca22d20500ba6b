import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { provideApiGenerators, strictConfiguration } from '../support/api-generators.ts'
import { root } from '../support/paths.ts'
import { openSession } from '../support/requests.ts'
import { listen } from '../support/service.ts'

t.setTimeout(300_000)

t.test('the steps of docs/clients.md make a client that compiles strictly and lists the tools', async t => {
  const service = await listen(t)
  const session = await openSession(service)
  const [, commands = '', program = ''] = /## A generated client\n.*?```sh\n(.*?)```.*?```ts\n(.*?)```/s
    .exec(readFileSync(join(root, 'docs', 'clients.md'), 'utf8')) ?? []
  const here = (text: string) => text.replaceAll('http://127.0.0.1:33000', service.url).replaceAll('demo-1', session)
  const [curl = '', npx = '', ...others] = here(commands).trim().split('\n')
  t.strictSame([curl.split(' ')[0], others], ['curl', []])
  const generators = await provideApiGenerators(t)
  const file = (name: string) => join(generators.folder, name)
  await promisify(execFile)('sh', ['-ec', curl], { cwd: generators.folder })
  const [, ...args] = /^npx @hey-api\/openapi-ts (-i) (\S+) (-o) (\S+)$/.exec(npx) ?? []
  t.equal(args.length, 4, npx)
  await generators.run('openapi-ts', ...args)

  const isImport = (line: string) => line.startsWith('import ')
  const lines = here(program).split('\n')
  await writeFile(file('steps.ts'), [
    ...lines.filter(isImport),
    'async function main () {',
    ...lines.filter(line => !isImport(line)),
    'process.stdout.write(JSON.stringify(data?.tools.map(tool => tool.name)))',
    '}',
    'void main()'
  ].join('\n'))
  await writeFile(file('package.json'), '{ "private": true, "type": "commonjs" }')
  await writeFile(file('tsconfig.json'), strictConfiguration(['steps.ts'], '.'))
  await generators.run('tsc', '-p', 'tsconfig.json')
  t.match(JSON.parse(await generators.run('node', join('js', 'steps.js'))), ['echo'])
})
