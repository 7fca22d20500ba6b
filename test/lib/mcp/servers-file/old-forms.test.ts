import t from 'tap'
import { keepOldForms } from '../../../../lib/mcp/servers-file/old-forms.ts'
import { readServersFile } from '../../../../lib/mcp/servers-file/servers-file.ts'
import { policyDefaults } from '../../../support/servers-file.ts'

const entry = { command: process.execPath }
const faulty = { command: 'there-is-no-such-command' }
const anchor = { ...entry, prefix: 'anchor' }

t.test('an entry that became faulty keeps its old form, and nothing clashes', async t => {
  const read = (mcpServers: object) => {
    const folder = t.testdir({ 'servers.json': JSON.stringify({ mcpServers: { ...mcpServers, anchor } }) })
    return readServersFile(`${folder}/servers.json`, { host: { PATH: process.env.PATH }, sensitiveParams: [], policyDefaults })
  }
  /** As `name:prefix`, `?` for one that is not run. */
  const cases: Array<[what: string, before: object, after: object, inUse: string[], faulty: string[]]> = [
    ['nothing changed', { a: entry, b: entry }, { a: entry, b: entry }, ['a:a', 'b:b'], []],
    ['one became faulty', { a: entry, b: entry }, { a: faulty, b: entry }, ['a:a', 'b:b'], ['a kept']],
    ['one that was not there is faulty', { a: entry }, { a: entry, b: faulty }, ['a:a', 'b:?'], ['b']],
    ['a faulty one stays faulty', { a: entry, b: faulty }, { a: entry, b: faulty }, ['a:a', 'b:?'], ['b']],
    ['a faulty one became good', { a: entry, b: faulty }, { a: entry, b: entry }, ['a:a', 'b:b'], []],
    ['one is gone', { a: entry, b: entry }, { b: entry }, ['b:b'], []],
    ['one is switched off', { a: entry, b: entry }, { a: { disabled: true }, b: entry }, ['b:b'], []],
    ['a prefix changed', { a: entry }, { a: { ...entry, prefix: 'x' } }, ['a:x'], []],
    ['two changed places', { a: { ...entry, prefix: 'x' }, b: { ...entry, prefix: 'y' } },
      { a: { ...entry, prefix: 'y' }, b: { ...entry, prefix: 'x' } }, ['a:y', 'b:x'], []],
    ['a new one takes the prefix of one that became faulty', { a: { ...entry, prefix: 'x' } },
      { b: { ...entry, prefix: 'x' }, a: { ...faulty, prefix: 'y' } }, ['b:?', 'a:x'], ['b', 'a kept']],
    ['a changed one takes that prefix, and keeps its own', { a: { ...entry, prefix: 'x' }, b: { ...entry, prefix: 'y' } },
      { b: { ...entry, prefix: 'x' }, a: { ...faulty, prefix: 'z' } }, ['b:y', 'a:x'], ['b kept', 'a kept']],
    ['one after the other is thrown back', {
      a: { ...entry, prefix: 'x' }, b: { ...entry, prefix: 'y' }, c: { ...entry, prefix: 'z' }
    }, {
      c: { ...entry, prefix: 'y' }, b: { ...entry, prefix: 'x' }, a: { ...faulty, prefix: 'w' }
    }, ['c:z', 'b:y', 'a:x'], ['c kept', 'b kept', 'a kept']],
    ['one that was not there clashes', { a: entry }, { b: { ...entry, prefix: 'a' }, a: entry }, ['b:?', 'a:a'], ['b', 'a kept']]
  ]
  for (const [what, before, after, expected, expectedFaulty] of cases) {
    const running = keepOldForms(read(before), []).specs
    const { specs, faulty: found } = keepOldForms(read(after), running)
    const shown = specs.map(({ name, prefix, kind }) => `${name}:${kind === 'faulty' ? '?' : prefix}`)
    t.strictSame(shown, [...expected, 'anchor:anchor'], what)
    t.strictSame(found.map(({ name, keepsOldForm }) => keepsOldForm ? `${name} kept` : name), expectedFaulty, what)
    t.notOk(found.some(({ reason }) => reason === ''))
    for (const { name, keepsOldForm } of found.filter(({ keepsOldForm }) => keepsOldForm)) {
      t.equal(specs.find(spec => spec.name === name), running.find(spec => spec.name === name), `${what}: ${keepsOldForm}`)
    }
  }
})
