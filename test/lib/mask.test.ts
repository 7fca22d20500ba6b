import t from 'tap'
import { createMask, maskedCredentials, maskJson } from '../../lib/mask.ts'

const token = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl'
/** Each of its characters is written in another way somewhere. */
const password = 'p/w "ü" +&\\'

const forms: Record<string, (secret: string) => string> = {
  'as it is': secret => secret,
  'in JSON': secret => JSON.stringify({ at: secret }),
  'in JSON in JSON': secret => JSON.stringify(JSON.stringify({ at: secret })),
  'in JSON of Python': secret => JSON.stringify(secret).replace(/[\u007f-\uffff]/g, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`),
  'in JSON of PHP': secret => JSON.stringify(secret).replaceAll('/', '\\/'),
  'in a URL': secret => `https://a.example.com/?t=${encodeURIComponent(secret)}&u=1`,
  'in a URL of another program': secret => encodeURIComponent(secret).replace(/%../g, code => code.toLowerCase()),
  'in a form': secret => encodeURIComponent(secret).replaceAll('%20', '+'),
  'in Base64': secret => Buffer.from(secret).toString('base64'),
  'in Base64 for URLs': secret => Buffer.from(secret).toString('base64url'),
  'as a header': secret => `authorization: Bearer ${secret}\r\nhost: a`,
  'twice, one after the other': secret => secret + secret
}

t.test('a secret is masked in whatever form a program writes it', async t => {
  for (const secret of [token, password]) {
    for (const [form, write] of Object.entries(forms)) {
      const masked = createMask([secret])(`before ${write(secret)} after`)
      t.match(masked, /^before .*\[hidden\].* after$/s, form)
      t.notOk(masked.includes(write(secret)), form)
      t.notMatch(masked, /eyJzdWIi|p\/w|"ü"/, form)
    }
  }
})

t.test('a secret that the end of a text cuts off is masked, and one that only begins alike is not', async t => {
  const mask = createMask([token])
  for (const length of [8, 20, token.length - 1]) t.equal(mask(`at ${token.slice(0, length)}`), 'at [hidden]')
  for (const text of [`${token.slice(0, 7)}`, `${token.slice(0, 20)} and more`, '', 'none of it']) t.equal(mask(text), text)
  t.equal(createMask(['abcdefghabcdefghij'])('abcdefghabcdefgh'), '[hidden]')
})

t.test('words and short numbers are no secrets, the parts of an object are', async t => {
  const mask = createMask(['abc', 12_345, true, null, { scheme: 'basic', user: { password: 'correct horse' }, pin: 7 }, 1_234_567_890])
  t.equal(mask('abc 12345 true null basic 7'), 'abc 12345 true null basic 7')
  t.equal(mask('correct horse, 1234567890'), '[hidden], [hidden]')
})

t.test('a JSON text is masked in its strings, its names and its numbers, and stays as it is elsewhere', async t => {
  const mask = createMask([token, password, 1_234_567_890])
  const escaped = JSON.stringify(token).replace(/[a-z]/g, c => `\\u00${c.charCodeAt(0).toString(16)}`)
  for (const [before, after] of [
    [`{"a": "${token}" , "n":1.50, "b":[1e400,"\\u0041"]}`, '{"a": "[hidden]" , "n":1.50, "b":[1e400,"\\u0041"]}'],
    [`{"${token}":1}`, '{"[hidden]":1}'],
    [`[${escaped}]`, '["[hidden]"]'],
    [`{"a":${JSON.stringify(`x ${password} y`)}}`, '{"a":"x [hidden] y"}'],
    ['{"pin":1234567890,"other":12345678901}', '{"pin":"[hidden]","other":"[hidden]1"}'],
    ['{"a":"\\\\","b":"\\""}', '{"a":"\\\\","b":"\\""}'],
    [JSON.stringify(JSON.stringify({ a: token })), JSON.stringify('{"a":"[hidden]"}')],
    ['true', 'true']
  ] as const) {
    t.equal(maskJson(before, mask), after)
    JSON.parse(after)
  }
  const long = JSON.stringify({ a: 'x\\'.repeat(2_000_000), token })
  t.equal(maskJson(long, mask), long.replace(token, '[hidden]'), 'a long string does not overflow the stack')
})

t.test('credentials are masked that are no URL, or that are named, and the token in any case', async t => {
  const credentials = { apiUrl: 'https://api.example.com', jwtToken: token, tenant: 'acme', hook: 'http://h.example.com' }
  t.strictSame(maskedCredentials(credentials, null), [token, 'acme'])
  t.strictSame(maskedCredentials(credentials, ['hook']), [token, 'http://h.example.com'])
})

t.test('a secret and a text that repeat themselves are compared in time that grows as they do', async t => {
  const forms: Record<string, (size: number) => [secret: string, text: string]> = {
    'one letter, and another in the middle': size => [`${'a'.repeat(size)}b${'a'.repeat(size)}`, 'a'.repeat(8 * size)],
    'one letter, then another': size => [`${'a'.repeat(size)}b`, 'a'.repeat(8 * size)],
    'another, then one letter': size => [`b${'a'.repeat(size)}`, 'a'.repeat(8 * size)],
    'a secret that is cut off again and again': size => ['a'.repeat(size), `${'a'.repeat(size - 1)}b`.repeat(8)],
    'two letters': size => [`${'ab'.repeat(size / 2)}c`, 'ab'.repeat(4 * size)]
  }
  // A search that begins anew at every letter would take longer than a test may.
  for (const [form, of] of Object.entries(forms)) {
    const [secret, text] = of(200_000)
    t.ok(createMask([secret])(text).length <= text.length, form)
  }
})

t.test('what is masked of a secret that repeats itself is what a plain search finds', async t => {
  const letters = ['a', 'b']
  const words = (length: number): string[] =>
    length === 0 ? [''] : words(length - 1).flatMap(word => letters.map(letter => word + letter))
  for (const secret of ['aaaaaaaaa', 'abababababa', 'aabaabaabaab', 'baaaaaaaab']) {
    for (const end of words(4)) {
      for (const text of [secret + end, end + secret, `${secret}${secret.slice(0, 8)}`, `${end}${secret.slice(0, 9)}`, secret + secret]) {
        const plain = text.replaceAll(secret, '[hidden]')
        // The longest end of the text that the secret begins with.
        const starts = Array.from({ length: plain.length - 7 }, (_, start) => start)
        const cut = secret.length <= 8 ? undefined : starts.find(start => secret.startsWith(plain.slice(start)))
        const expected = cut === undefined ? plain : `${plain.slice(0, cut)}[hidden]`
        if (createMask([secret])(text) !== expected) t.fail(`${secret} in ${text}`)
      }
    }
  }
  t.pass('all of them')
})
