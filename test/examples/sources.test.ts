import t from 'tap'

// Imported by its address: the demo's inner files have no type declarations.
const file = new URL('../../examples/api/sources.mjs', import.meta.url)
const { parseRows } = await import(file.href) as { parseRows: (text: string) => object[] }

t.test('quoted fields hold commas, line breaks and quotes', async t => {
  t.strictSame(parseRows('a,b\r\n"x, y","say ""hi""\nthere"\r\n'), [{ a: 'x, y', b: 'say "hi"\nthere' }])
})

t.test('a column is of numbers only when all its values are, and what is not there is null', async t => {
  t.strictSame(parseRows('n,mixed,code\n1,1,007\n-2.5,two,010\n,,'), [
    { n: 1, mixed: '1', code: '007' },
    { n: -2.5, mixed: 'two', code: '010' },
    { n: null, mixed: null, code: null }
  ])
})
