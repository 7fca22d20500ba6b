import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { root } from '../support/paths.ts'
import { runScript } from '../support/scripts.ts'

t.setTimeout(600_000)

t.test('one build starts, answers and stops on each version of Node that it is for', async t => {
  const { code, output } = await runScript('nodes.mjs', ['--short'])
  t.equal(code, 0, output)
  const versions = [...output.matchAll(/^Node v(\d+)\.(\d+)\.\d+: started, called and stopped$/gm)]
    .map(([, major, minor]) => [Number(major), Number(minor)])
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { engines: { node: string } }
  t.strictSame(versions[0], engines.node.replace('>=', '').split('.').map(Number), 'the oldest that is allowed')
  t.strictSame(versions.slice(1, 4).map(([major]) => major), [20, 22, 24])
  t.ok((versions[4]?.[0] ?? 0) > 24, 'the newest')
})

t.test('a Node that is too old ends with one line, and fails the run', async t => {
  const { code, output } = await runScript('nodes.mjs', ['--short', '--only=20.18.3'])
  t.equal(code, 1)
  t.match(output, /^Node v20\.18\.3: .*Node\.js 20\.19 or later is needed, and this is 20\.18\.3\.$/m)
  t.match(output, '0 versions of Node passed, 1 failed')
})
