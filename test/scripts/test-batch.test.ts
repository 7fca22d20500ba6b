import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeFolder } from '../support/folders.ts'
import { root } from '../support/paths.ts'

const tap = JSON.stringify(import.meta.resolve('tap'))

/** Files by their names, as they are built. Each is written as if it were the only one. */
const texts = {
  good: `
    t.jobs = 2
    t.teardown(() => console.log('# the good file is torn down'))
    for (const name of ['one', 'two']) t.test(name, async t => { t.equal(process.env.TEST_BATCH, undefined) })
  `,
  hanging: "t.test('never ends', () => new Promise(() => setInterval(() => {}, 1_000).unref()))",
  failing: "t.test('is wrong', async t => { t.equal(1, 2) })",
  broken: "await t.test('begins', async t => { t.pass() })\nthrow new Error('does not load')",
  last: "t.test('comes after all', async t => { t.pass() })"
}

t.test('files in one process are told apart, whatever one of them does to the others', async t => {
  const folder = await makeFolder(t)
  const names = Object.keys(texts)
  for (const [name, text] of Object.entries(texts)) {
    writeFileSync(join(folder, `${name}.test.js`), `import t from ${tap}\n${text}`)
  }
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  const settings = { folder, files: names.map(name => `${name}.test.ts`), timeoutMs: 3_000 }

  const { status, stdout } = spawnSync(process.execPath, [join(root, 'scripts', 'test-batch.mjs')], {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, TAP_TIMEOUT: '0', TEST_BATCH: JSON.stringify(settings) }
  })

  t.equal(status, 1)
  for (const [index, name] of names.entries()) {
    const isGood = name === 'good' || name === 'last'
    t.match(stdout, new RegExp(`^${isGood ? '' : 'not '}ok ${index + 1} - ${name}\\.test\\.ts`, 'm'), name)
  }
  t.match(stdout, /# the good file is torn down\n[^]*# Subtest: hanging/, 'before the next file begins')
  t.match(stdout, /# \{ total: 7, pass: 4, fail: 3 \}/)
})
