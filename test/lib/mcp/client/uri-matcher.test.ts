import { UriTemplate } from '@modelcontextprotocol/sdk/shared/uriTemplate.js'
import t from 'tap'
import { createUriMatcher } from '../../../../lib/mcp/client/uri-matcher.ts'

const matches = (template: string, uri: string) => createUriMatcher(uri).matches(template)

/** Ordinary templates, as servers list them, each with URIs that the SDK's own matcher takes. */
const ordinary: ReadonlyArray<readonly [template: string, ...uris: string[]]> = [
  ['note://{id}', 'note://1', 'note://a-b_c.d~e', 'note://a%20b', 'note://é', 'note://a b', 'note://x?y=z', 'note://a:b'],
  ['note://{id}/text', 'note://1/text', 'note://%2F/text'],
  ['file:///{path}', 'file:///readme.md', 'file:///a%2Fb'],
  ['file:///{+path}', 'file:///readme.md', 'file:///a/b/c.txt', 'file:///a/b?c=d#e', 'file:///ä/ö'],
  ['file://{+path}.md', 'file:///a/b.md', 'file://.md.md'],
  ['users://{user}/repos/{repo}', 'users://u/repos/r', 'users://u%20v/repos/r.s'],
  ['db://{schema}.{table}', 'db://public.users', 'db://a.b.c'],
  ['weather://{city}/{day}', 'weather://paris/2026-01-01'],
  ['weather://{city},{country}', 'weather://paris,fr'],
  ['time://{zone*}', 'time://a', 'time://a,b,c'],
  ['docs://{name}{.ext}', 'docs://readme.md', 'docs://a.b.c'],
  ['docs://x{/path}', 'docs://x/a', 'docs://x/a%2Fb'],
  ['docs://x{/path*}', 'docs://x/a', 'docs://x/a,b'],
  ['docs://x{/user-id}', 'docs://x/1'],
  ['search://all{?q}', 'search://all?q=x', 'search://all?q=a%20b', 'search://all?q=a/b', 'search://all?q=a=b'],
  ['search://all{?q,limit}', 'search://all?q=x&limit=1'],
  ['search://all{?q,limit,page}', 'search://all?q=x&limit=1&page=2'],
  ['search://all?lang=en{&q}', 'search://all?lang=en&q=x'],
  ['search://all?lang=en{&q,limit}', 'search://all?lang=en&q=x&limit=3'],
  ['https://h.example/{a}{?b}', 'https://h.example/1?b=2', 'https://h.example/1%3F?b=2'],
  ['https://h.example/a{#part}', 'https://h.example/a#top', 'https://h.example/a#a/b'],
  ['https://h.example/(x)+[y]*$^|\\.', 'https://h.example/(x)+[y]*$^|\\.'],
  ['plain://nothing', 'plain://nothing'],
  ['{scheme}://{+rest}', 'http://a/b/c', 'a://b'],
  ['{+any}', 'http://a/b?c#d', 'x'],
  ['a{x}b{y}c', 'a1b2c', 'abbbcc'],
  ['log://{$date}/{log.name}', 'log://2026/app', 'log://a/b.c'],
  ['img://{w}x{h}', 'img://10x20', 'img://xxx'],
  ['memo://%7B{id}%7D', 'memo://%7B1%7D']
]

t.test('what the matcher of the SDK takes of ordinary templates is taken', async t => {
  let compared = 0
  for (const [template, ...uris] of ordinary) {
    for (const uri of uris) {
      t.ok(new UriTemplate(template).match(uri), `the SDK: ${template} ${uri}`)
      t.ok(matches(template, uri), `${template} ${uri}`)
      compared++
    }
  }
  t.ok(compared > 50, `${compared} cases`)
})

t.test('what it does not take of them is not taken either', async t => {
  for (const [template, uri] of [
    ['note://{id}', 'note://a/b'], ['note://{id}', 'other://1'], ['note://{id}/text', 'note://1/texts'],
    ['note://{id}/text', 'note://1'], ['file:///{+path}', 'file://a'], ['users://{u}/repos/{r}', 'users://u/repo/r'],
    ['db://{schema}.{table}', 'db://public'], ['plain://nothing', 'plain://nothing/'], ['plain://nothing', 'plain'],
    ['search://all{?q}', 'search://all?p=x'], ['search://all{?q}', 'search://allq=x'],
    ['search://all{?q,limit}', 'search://all?limit=1&q=x'], ['search://all?lang=en{&q}', 'search://all?lang=en?q=x'],
    ['docs://x{/path}', 'docs://x/a/b'], ['a.c', 'abc'], ['', 'a'], ['note://{id}', '']
  ] as const) {
    t.notOk(new UriTemplate(template).match(uri), `the SDK: ${template} ${uri}`)
    t.notOk(matches(template, uri), `${template} ${uri}`)
  }
})

t.test('a variable may be absent, and a URI may be encoded or not, on both sides', async t => {
  for (const [template, uri] of [
    ['search://all{?q}', 'search://all'], ['search://all{?q,limit}', 'search://all?limit=3'],
    ['search://all{?q}', 'search://all?q='], ['s://a{?q*}', 's://a?x=1&y=2&z'], ['s://a{;x,y}', 's://a;x=1;y'],
    ['s://a{;x,y}', 's://a;y=2'], ['s://a{;x*}', 's://a;b=1;c=2'], ['s://a{/x,y}', 's://a/1/2'],
    ['s://a{/x,y}', 's://a/1'], ['s://a{/x*}', 's://a/1/2/3'], ['s://a{.x,y}', 's://a.b.c'], ['s://a{#x}', 's://a'],
    ['s://{x,y}', 's://1,2'], ['s://{+x,y}', 's://a/b,c/d'], ['s://{x:3}', 's://abc'], ['s://{x:3}', 's://%C3%A9bc'],
    ['s://{x:3}d', 's://abcd'], ['s://{path*}', 's://a/b/c'], ['s://é{x}', 's://%C3%A9a'],
    ['s://%c3%a9{x}', 's://éa'], ['s://a b{x}', 's://a%20b1'], ['s://50%{x}', 's://50%25a'], ['s://{x}\ud800', 's://a\ufffd']
  ] as const) t.ok(matches(template, uri), `${template} ${uri}`)
  for (const [template, uri] of [
    ['s://{x:3}', 's://abcd'], ['s://{x:3}', 's://%C3%A9bcd'], ['s://a{;x,y}', 's://a;z=1'], ['s://a{/x,y}', 's://a/1/2/3'],
    ['s://a{?x,y}', 's://a&y=1'], ['s://a{&x}', 's://a?x=1'], ['s://a{?x:2}', 's://a?x=abc'], ['s://a{#x}', 's://ax']
  ] as const) t.notOk(matches(template, uri), `${template} ${uri}`)
})

t.test('a text that is no template matches nothing, not even itself', async t => {
  for (const template of [
    's://{', 's://{x', 's://x}', 's://{}', 's://{{x}}', 's://{=x}', 's://{!x}', 's://{@x}', 's://{|x}', 's://{x:0}',
    's://{x:12345}', 's://{x:}', 's://{x,}', 's://{,x}', 's://{+}', 's://{x y}', 's://{x**}', 's://{\ud800}', 's://{x:3*}'
  ]) t.notOk(matches(template, template.replace(/[{}]/g, '')) || matches(template, template), template)
})

/** A second reading of RFC 6570, which expands as section 3.2.1 says. */
function expand (
  { operator, variables }: { operator: string, variables: ReadonlyArray<readonly [name: string, modifier: string]> },
  values: Readonly<Record<string, string | string[] | Record<string, string>>>
): string {
  const [first, separator, named, empty] = {
    '': ['', ',', false, ''],
    '+': ['', ',', false, ''],
    '#': ['#', ',', false, ''],
    '.': ['.', '.', false, ''],
    '/': ['/', '/', false, ''],
    ';': [';', ';', true, ''],
    '?': ['?', '&', true, '='],
    '&': ['&', '&', true, '=']
  }[operator] as [string, string, boolean, string]
  const keepsReserved = operator === '+' || operator === '#'
  const encode = (text: string) => keepsReserved
    ? encodeURI(text).replaceAll('%5B', '[').replaceAll('%5D', ']')
    : encodeURIComponent(text).replace(/[!'()*]/g, mark => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`)
  const pair = (name: string, text: string) => named ? `${name}${text === '' ? empty : `=${text}`}` : text
  const expanded = variables.flatMap(([name, modifier]) => {
    const value = values[name]
    if (value === undefined) return []
    if (typeof value === 'string') {
      const length = modifier.startsWith(':') ? Number(modifier.slice(1)) : Infinity
      return [pair(name, encode([...value].slice(0, length).join('')))]
    }
    if (modifier === '*') {
      return Array.isArray(value)
        ? value.map(item => pair(name, encode(item)))
        : Object.entries(value).map(([key, item]) => `${encode(key)}=${encode(item)}`)
    }
    return [pair(name, Array.isArray(value) ? value.map(encode).join(',') : Object.entries(value).flat().map(encode).join(','))]
  })
  return expanded.length === 0 ? '' : first + expanded.join(separator)
}

/** Repeatable: the same numbers for the same seed. */
function createRandom (seed: number): (limit: number) => number {
  let state = seed
  return limit => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor(state / 2 ** 32 * limit)
  }
}

t.test('a URI that comes of a template matches it, as a second reading of the RFC expands templates', async t => {
  const random = createRandom(20_260_728)
  const pick = <Item>(items: readonly Item[]) => items[random(items.length)] as Item
  const texts = ['', 'a', 'value', 'two words', 'é', '日本', '/a/b', 'x=1&y=2', '50%', '#?', 'a,b', '[1]', '\u{1f600}', ';x', "it's"]
  const modifiers = ['', '', '', '*', ':1', ':3', ':20']
  for (let round = 0; round < 3_000; round++) {
    const values: Record<string, string | string[] | Record<string, string>> = {}
    let [template, uri] = ['s://', 's://']
    const parts = 1 + random(4)
    for (let part = 0; part < parts; part++) {
      const literal = pick(['', '/', 'a', '-b-', '/x.', 'é'])
      const operator = pick(['', '+', '#', '.', '/', ';', '?', '&'])
      const variables = Array.from({ length: 1 + random(3) }, (_, index) => {
        const [name, modifier] = [`v${part}_${index}`, pick(modifiers)]
        const kind = random(5)
        if (kind === 1) values[name] = Array.from({ length: 1 + random(3) }, () => pick(texts))
        else if (kind === 2) values[name] = { [pick(['k', 'a b', 'é'])]: pick(texts), other: pick(texts) }
        else if (kind > 2) values[name] = pick(texts)
        // A prefix is of texts only.
        return [name, typeof values[name] === 'object' && modifier.startsWith(':') ? '' : modifier] as const
      })
      template += `${literal}{${operator}${variables.map(variable => variable.join('')).join(',')}}`
      uri += encodeURI(literal) + expand({ operator, variables }, values)
    }
    if (!matches(template, uri)) return t.fail(`${template} gives ${uri}`)
  }
  t.pass('every one')
})

t.test('templates and URIs that are made to last cost a bounded number of steps, however many there are', async t => {
  const long = 'a'.repeat(16_000)
  for (const [template, uri] of [
    [`a${'{+x}'.repeat(11)}b`, 'a'.repeat(500)], ['{+x}'.repeat(4_000), long], ['{+x}a'.repeat(3_000), long],
    ['{x}{y}{z}'.repeat(1_000), long], [`{${'x,'.repeat(7_000)}x}`, long], ['{x*}{y*}'.repeat(2_000), ','.repeat(16_000)],
    [`{+x}${'a'.repeat(16_000)}`, long], ['{?x}'.repeat(4_000), '?x='.repeat(5_000)], ['{;x}'.repeat(4_000), ';x'.repeat(8_000)],
    ['{/x*}'.repeat(3_000), '/'.repeat(16_000)], ['{x:9999}'.repeat(2_000), '%C3%A9'.repeat(2_600)], ['{+x}'.repeat(4_000), 'é'.repeat(16_000)]
  ] as const) {
    const matcher = createUriMatcher(uri, { maxSteps: 3_000_000 })
    for (let times = 0; times < 50; times++) matcher.matches(template)
    // One part more may be looked at, of a URI that is nine times as long when it is encoded.
    t.ok(matcher.steps() < 3_500_000, `${template.slice(0, 20)}: ${matcher.steps()}`)
  }
})

t.test('the work for a template grows with its length times that of the URI, and no faster', async t => {
  const stepsFor = (size: number) => {
    const matcher = createUriMatcher('a'.repeat(50 * size), { maxSteps: Infinity })
    t.ok(matcher.matches('{+x}'.repeat(5 * size)))
    return matcher.steps()
  }
  t.ok(stepsFor(20) < 500 * stepsFor(1))
})

t.test('a URI or a template that is longer than anybody needs matches nothing', async t => {
  t.ok(matches('s://{x}', `s://${'a'.repeat(16_000)}`))
  t.notOk(matches('s://{x}', `s://${'a'.repeat(17_000)}`))
  t.ok(matches(`s://${'a'.repeat(8_000)}{x}`, `s://${'a'.repeat(8_000)}`))
  t.notOk(matches(`s://${'a'.repeat(17_000)}`, `s://${'a'.repeat(17_000)}`))
})

t.test('ten thousand ordinary templates have steps enough', async t => {
  const matcher = createUriMatcher('db://public/tables/customers/rows9999')
  const found = Array.from({ length: 10_000 }, (_, row) => `db://{schema}/tables/{name}/rows${row}`)
    .filter(template => matcher.matches(template))
  t.strictSame(found, ['db://{schema}/tables/{name}/rows9999'])
})
