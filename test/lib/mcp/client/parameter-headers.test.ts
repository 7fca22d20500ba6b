import t from 'tap'
import { hasInvalidHeaders, parameterHeaders } from '../../../../lib/mcp/client/parameter-headers.ts'

const schema = (properties: object) => ({ type: 'object', properties })
const region = { type: 'string', 'x-mcp-header': 'Region' }

t.test('arguments are repeated in the headers that the schema names', async t => {
  const properties = {
    region,
    count: { type: 'integer', 'x-mcp-header': 'Count' },
    dry: { type: 'boolean', 'x-mcp-header': 'Dry' },
    inner: { type: 'object', properties: { city: { type: 'string', 'x-mcp-header': 'City' } } },
    other: { type: 'string' }
  }
  t.strictSame(parameterHeaders(schema(properties), '{"region":"eu","count":7,"dry":false,"inner":{"city":"Zürich"},"other":"x"}'), new Map([
    ['Mcp-Param-Region', 'eu'], ['Mcp-Param-Count', '7'], ['Mcp-Param-Dry', 'false'],
    ['Mcp-Param-City', '=?base64?WsO8cmljaA==?=']
  ]))
  t.strictSame(parameterHeaders(schema(properties), '{}'), new Map())
})

t.test('an integer keeps its digits, and a value that no header can say is left out', async t => {
  const count = schema({ count: { type: 'integer', 'x-mcp-header': 'Count' } })
  for (const [text, header] of [
    ['1915883588174806058', '1915883588174806058'], ['-7', '-7'], ['1e2', '100'], ['1.5', undefined], ['null', undefined],
    ['[7]', undefined], ['1e400', undefined]
  ] as const) {
    t.equal(parameterHeaders(count, `{"count":${text}}`).get('Mcp-Param-Count'), header, text)
  }
})

t.test('a text that a header would change travels in Base64', async t => {
  for (const text of [' eu', 'eu ', 'e\nu', 'é', '', '=?base64?ZXU=?=']) {
    const header = parameterHeaders(schema({ region }), JSON.stringify({ region: text })).get('Mcp-Param-Region')
    t.equal(header, `=?base64?${Buffer.from(text).toString('base64')}?=`, JSON.stringify(text))
  }
})

t.test('annotations that the specification forbids are found', async t => {
  for (const [properties, isInvalid] of [
    [{ region }, false],
    [{ region: { type: 'number', 'x-mcp-header': 'Region' } }, true],
    [{ region: { 'x-mcp-header': 'Region' } }, true],
    [{ region: { type: 'string', 'x-mcp-header': 'Re gion' } }, true],
    [{ region: { type: 'string', 'x-mcp-header': '' } }, true],
    [{ region: { type: 'string', 'x-mcp-header': 7 } }, true],
    [{ region, again: { type: 'string', 'x-mcp-header': 'REGION' } }, true],
    [{ list: { type: 'array', items: region } }, true],
    [{ any: { anyOf: [region] } }, true],
    [{ plain: { type: 'string', default: { 'x-mcp-header': 'Region' } } }, false]
  ] as const) {
    t.equal(hasInvalidHeaders(schema(properties)), isInvalid, JSON.stringify(properties))
  }
  t.equal(hasInvalidHeaders({ ...region }), true, 'the whole schema is no parameter')
  for (const odd of [null, 7, 'text', [], {}]) t.equal(hasInvalidHeaders(odd), false)
})
