import t from 'tap'

// Imported by its address: the demo's inner files have no type declarations.
const { parseCsv } = await import(new URL('../../examples/api/csv.mjs', import.meta.url).href) as { parseCsv: (text: string) => object[] }

t.test('quoted fields hold commas, line breaks and quotes', async t => {
  t.strictSame(parseCsv('a,b\r\n"x, y","say ""hi""\nthere"\r\n'), [{ a: 'x, y', b: 'say "hi"\nthere' }])
})

t.test('a column is of numbers only when all its values are', async t => {
  t.strictSame(parseCsv('n,mixed,code\n1,1,007\n-2.5,two,010'), [{ n: 1, mixed: '1', code: '007' }, { n: -2.5, mixed: 'two', code: '010' }])
})

t.test('what is not there is null, and an empty line is no row', async t => {
  t.strictSame(parseCsv('\uFEFFa,b\n1,\n\n,2\n3'), [{ a: 1, b: null }, { a: null, b: 2 }, { a: 3, b: null }])
  t.strictSame(parseCsv(''), [])
})

t.test('a quote that is never closed is refused', async t => {
  t.throws(() => parseCsv('a,b\n1,"2\n'), { message: /CSV record 2/ })
  t.throws(() => parseCsv('a,b\n"1"x,2\n'), { message: /CSV record 2/ })
})
