import t from 'tap'
import { prefersNamed } from '../../../lib/http/media-preference.ts'

const prefers = (accept: string | undefined) =>
  prefersNamed(accept, 'application/problem+json', 'application/json')

t.test('a type is preferred when it is named, with at least the weight of the usual one', async t => {
  for (const accept of [
    'application/problem+json', 'Application/Problem+JSON', 'application/problem+json;q=0.1',
    'application/json, application/problem+json', 'application/problem+json, application/json',
    'application/problem+json, */*', '*/*, application/problem+json', 'application/*, application/problem+json',
    'application/json;q=0.9, application/problem+json', 'application/json;q=0.5,application/problem+json;q=0.500',
    'application/problem+json; charset=utf-8', 'application/problem+json;profile="a,b;q=0"', ' ,, application/problem+json ,',
    'text/event-stream, application/problem+json', 'application/problem+json;Q=1.0', 'application/json;q=0, application/problem+json;q=0.001',
    'application/problem+json;q=0.1, text/html', 'text/x;a="application/json", application/problem+json;q=0.2',
    '*/*;q=1, application/*;q=0.2, application/problem+json;q=0.3'
  ]) t.equal(prefers(accept), true, accept)
})

t.test('a wildcard, a lower weight and other text name nothing', async t => {
  for (const accept of [
    undefined, '', '*/*', 'application/*', 'application/*+json', 'application/json', 'text/html', 'garbage', ',', ';q=1',
    'application/problem+json;q=0', 'application/problem+json;q=0.000', 'application/json, application/problem+json;q=0.9',
    '*/*, application/problem+json;q=0.5', 'application/*;q=0.6, application/problem+json;q=0.5',
    'application/problem+json;q=2', 'application/problem+json;q=x', 'application/problem+json;q=-1', 'application/problem+json;q=',
    'application/problem+jsonx', 'xapplication/problem+json', 'application/problem+json/x', 'application/problem json',
    'text/x;a="application/problem+json"', 'text/x;a=", application/problem+json', 'application/problem+xml',
    'application/json;q=1, application/problem+json;q=0.999'
  ]) t.equal(prefers(accept), false, String(accept))
})

t.test('a header as long as one can be takes no time to speak of', async t => {
  for (const part of ['application/problem+json,', '"', ';q=', '\\"', 'application/problem+json;a="', ' ', 'a/b;', ',']) {
    t.type(prefers(part.repeat(16_384 / part.length) + 'application/problem+json'), 'boolean')
  }
})
