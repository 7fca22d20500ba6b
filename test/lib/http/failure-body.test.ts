import t from 'tap'
import { parseDocsUrl, titleOf } from '../../../lib/http/failure-body.ts'

t.test('a title is what a code says', async t => {
  for (const [code, title] of [
    ['MCPC_ERR_NOT_FOUND', 'Not found'], ['MCPC_ERR_API_KEY', 'API key'], ['MCPC_ERR_BODY_NOT_JSON', 'Body not JSON'],
    ['MCPC_ERR_MCP_START_TIMEOUT', 'MCP start timeout'], ['MCPC_ERR_VALIDATION_API', 'Validation API']
  ] as const) t.equal(titleOf(code), title)
})

t.test('the page of the codes has an absolute URL without an anchor and without a password', async t => {
  for (const [text, url] of [
    ['https://example.com/errors', 'https://example.com/errors'], ['HTTP://Example.com', 'http://example.com/'],
    ['https://example.com/a?b=c', 'https://example.com/a?b=c']
  ] as const) t.equal(parseDocsUrl(text), url)
  for (const text of [
    '/errors', 'example.com', 'https://', 'https://example.com/#', 'https://example.com/a#b', 'https://a:b@example.com/',
    'https://a@example.com', 'ftp://example.com', 'https://example.com/a b', ' https://example.com', 'javascript:alert(1)'
  ]) t.equal(parseDocsUrl(text), null, text)
})
