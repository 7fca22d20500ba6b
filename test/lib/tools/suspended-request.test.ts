import t from 'tap'
import { readJson } from '../../../lib/json-text.ts'
import { continuationOf, inputRequiredText, listText } from '../../../lib/tools/suspended-request.ts'

t.test('input requests are listed with their keys, and stay as the server wrote them', async t => {
  const requests = '{"a\\"":{"method":"elicitation/create", "params":{ "n":1e400 }},"b":{"id":"theirs"},"c":7}'
  t.equal(
    inputRequiredText(requests, 'x"y', null),
    '{"status":"input_required","requests":[' +
      '{"id":"a\\"","method":"elicitation/create","params":{ "n":1e400 }},{"id":"b"},{"id":"c"}],"continue":"x\\"y"}'
  )
  t.equal(
    inputRequiredText('{}', 't', 'c_1'),
    '{"status":"input_required","requests":[],"continue":"t","call":"c_1"}'
  )
})

t.test('a request goes on with its own state, and with the responses', async t => {
  t.strictSame(continuationOf({ state: '1e400' }, '{ "a":{} }'), { responses: '{ "a":{} }', state: '1e400' })
  t.strictSame(continuationOf({}), { responses: '{}' })
})

t.test('a list is one, whatever its server made of it', async t => {
  const lists: Record<string, string> = {
    '{"contents":[ 1e400 ]}': '[ 1e400 ]',
    '{"contents":null}': '[]',
    '{}': '[]',
    '{"contents":{"uri":"a"}}': '[{"uri":"a"}]'
  }
  for (const [result, list] of Object.entries(lists)) {
    const document = readJson(result)
    t.equal(document && listText({ document, node: document.root }, 'contents'), list, result)
  }
})
