import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readReceiversFile } from '../../../lib/webhooks/receivers-file.ts'
import { makeFolder } from '../../support/folders.ts'
import { secrets } from '../../support/receiver.ts'

const [secret = '', other = ''] = secrets
const url = 'https://hooks.example.com/a?b=c'

t.test('a file of receivers', async t => {
  const folder = await makeFolder(t)
  const file = join(folder, 'receivers.json')
  const read = (text: string) => {
    writeFileSync(file, text)
    return readReceiversFile(file)
  }

  t.test('names addresses and their secrets', async t => {
    writeFileSync(join(folder, 'two.secret'), `${secret}\r\n\n  ${other}\n`)
    const receivers = read(`\ufeff{
      // who is told
      "$schema": "x",
      "a.b-c_1": ${JSON.stringify({ url, secret })},
      "two": ${JSON.stringify({ url: 'http://127.0.0.1:8080/', secretFile: 'two.secret' })},
      "list": ${JSON.stringify({ url, secret: [other, secret] })},
    }`)
    const texts = [...receivers].map(([name, { url, secrets }]) => [name, url.href, secrets.map(String)])
    const [first, second] = ['not-a-real-secret-not-a-real', 'another-fake-secret-another-fake']
    t.strictSame(texts, [
      ['a.b-c_1', url, [first]], ['two', 'http://127.0.0.1:8080/', [first, second]], ['list', url, [second, first]]
    ])
    t.equal(read('{}').size, 0)
  })

  t.test('with a fault is refused with the receiver and the field, and without a secret', async t => {
    writeFileSync(join(folder, 'empty.secret'), '\n')
    writeFileSync(join(folder, 'bad.secret'), 'hunter2hunter2\n')
    const faults: Array<[text: string, sentence: RegExp]> = [
      ['', /is not valid JSON/], ['[]', /must hold an object/], ['{"a":1}', /"a" that is no object/],
      ['{"":{}}', /whose name is not/], ['{"a b":{}}', /whose name is not/], [`{"${'a'.repeat(65)}":{}}`, /whose name/],
      ...['ftp://a/', '/a', '', 'https://hunter2@a/', 'https://a/#b', 'hunter2'].map((url): [string, RegExp] =>
        [JSON.stringify({ a: { url, secret } }), /"a" whose url must be an http/]),
      [JSON.stringify({ a: { secret } }), /"a" whose url/], [JSON.stringify({ a: { url: 1, secret } }), /whose url/],
      [JSON.stringify({ a: { url } }), /"a" whose secret must be one or more/],
      [JSON.stringify({ a: { url, secret, secretFile: 'two.secret' } }), /whose secret must be/],
      ...['hunter2', 'whsec_', 'whsec_hunter2', `${secret}!`, `whsec_${'A'.repeat(100)}`, 1, null, [], [secret, 'hunter2']]
        .map((secret): [string, RegExp] => [JSON.stringify({ a: { url, secret } }), /"a" whose secret must be/]),
      ...['', 'away.secret', 'empty.secret', 'bad.secret', 1].map((secretFile): [string, RegExp] =>
        [JSON.stringify({ a: { url, secretFile } }), /"a" whose secretFile must be/]),
      [JSON.stringify({ a: { url, secret, hunter2: 1 } }), /"a" with a member that is none/]
    ]
    for (const [text, sentence] of faults) {
      const error = t.throws(() => read(text), sentence, text) as unknown as Error
      t.match(error, { code: 'MCPC_ERR_CONFIG', message: /^MCP_NOTIFY_FILE: / }, text)
      t.notMatch(error.message, /hunter2|bm90/, text)
    }
    t.throws(() => readReceiversFile(join(folder, 'away')), /MCP_NOTIFY_FILE: .*away does not exist/)
  })
})
