import t from 'tap'

interface Datum { x: number, y: number | null, group: string | null, isAlone: boolean }
interface Drawing {
  chartSpec: (data: object) => { data: { values: Datum[] } }
  drawChart: (data: object) => Promise<string>
}
interface Insights {
  analyzeChart: (data: object) => { statements: string[], figures: object }
}

// Imported by their addresses: the demo's inner files have no type declarations.
const examples = new URL('../../examples/', import.meta.url)
const { chartSpec, drawChart } = await import(new URL('api/chart-drawing.mjs', examples).href) as Drawing
const { analyzeChart } = await import(new URL('analysis/insights.mjs', examples).href) as Insights

function lineChart (rows: unknown[][], timeUnit = 'month') {
  const config = { name: 'n', sourceId: 's', chart: 'line', x: 'date', y: 'wind', aggregate: 'mean', timeUnit }
  return { config, columns: ['date', 'wind'], rows }
}

/** The months that have a point, and where the line is broken. */
function placesOf (rows: unknown[][], timeUnit?: string) {
  return chartSpec(lineChart(rows, timeUnit)).data.values.map(({ x, y }) => [new Date(x).toISOString().slice(0, 7), y])
}

/** How many pieces the lines of a drawing have: every piece begins with a move. */
async function piecesOf (rows: unknown[][]) {
  const svg = await drawChart(lineChart(rows))
  const [, line = ''] = /<path d="(M[^"]*)" stroke="/.exec(svg.slice(svg.indexOf('mark-line'))) ?? []
  return line.split('M').length - 1
}

const months = (...found: number[]) => found.map(month => [`2012-${String(month).padStart(2, '0')}-15`, month])

t.test('a line is broken where a month is missing, and the month is not 0', async t => {
  const rows = months(1, 2, 3, 6, 7, 8)

  t.strictSame(placesOf(rows), [
    ['2012-01', 1], ['2012-02', 2], ['2012-03', 3], ['2012-04', null], ['2012-06', 6], ['2012-07', 7], ['2012-08', 8]
  ])
  t.equal(await piecesOf(rows), 2)
  t.equal(await piecesOf(months(1, 2, 3, 4, 5, 6)), 1, 'a whole line is one piece')
})

t.test('a month whose values are all missing is missing', async t => {
  const rows = [...months(1, 2, 3), ['2012-04-01', null], ['2012-04-02', null], ...months(5, 6)]

  t.strictSame(placesOf(rows)[3], ['2012-04', null])
  t.equal(await piecesOf(rows), 2)
})

t.test('what is said of a line with a gap counts what is missing', async t => {
  const { statements, figures } = analyzeChart(lineChart(months(1, 2, 3, 6, 7, 8)))

  t.match(figures, { points: 6, missing: 2, lowest: { at: '2012-01', value: 1 } })
  t.ok(statements.includes('The line has gaps: 2 of its 8 points have no value.'), statements.join(' '))
})

t.test('what is usual is seen in all groups, not in the one that is sparse', async t => {
  const rain = months(1, 2, 3, 4, 5).map(row => [...row, 'rain'])
  const snow = months(1, 5).map(row => [...row, 'snow'])
  const { config, rows } = lineChart([...rain, ...snow])
  const columns = ['date', 'wind', 'weather']
  const { values } = chartSpec({ config: { ...config, splitBy: 'weather' }, columns, rows }).data

  t.strictSame(values.filter(({ group }) => group === 'snow').map(({ y }) => y), [1, null, 5])
})

t.test('steps that are usual for a series are no gaps', async t => {
  const years = [1955, 1960, 1965, 1975].map(year => [year, 1])

  t.equal(placesOf(months(1, 4, 7, 10)).length, 4, 'one value each quarter')
  t.strictSame(placesOf(years, 'year'), [
    ['1955-01', 1], ['1960-01', 1], ['1965-01', 1], ['1970-01', null], ['1975-01', 1]
  ], 'one value each five years')
})

t.test('a month that no year has breaks a line over the months of the year', async t => {
  const rows = [...months(1, 2, 3), ...months(5, 6)]

  t.strictSame(placesOf(rows, 'month of year').map(([, value]) => value), [1, 2, 3, null, 5, 6])
})

t.test('a point between two gaps is drawn as a dot', async t => {
  const rows = months(1, 2, 3, 6, 9, 10, 11)
  const { values } = chartSpec(lineChart(rows)).data

  t.strictSame(values.filter(({ y, isAlone }) => y !== null && isAlone).map(({ y }) => y), [6])
  t.match(await drawChart(lineChart(rows)), 'mark-symbol')
})
