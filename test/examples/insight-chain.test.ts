import t from 'tap'
import { readFile } from 'node:fs/promises'
import { askQuestion, openApi, openServer, type Outputs } from './demo.ts'

const credentials = await openApi(t)
const { call } = await openServer(t)

const sourceIds = ['seattle-weather', 'gapminder', 'penguins', 'us-employment', 'co2-concentration', 'birdstrikes']

// The figures below were computed from the data files with another program.

/** The findings about one chart of a walk through the workflow. */
function figuresOf ({ insights }: Outputs, chart: string) {
  return insights.find((insight: { chart: string }) => insight.chart === chart)?.figures
}

t.test('weather: which kind of day has the most wind', async t => {
  const answer = await askQuestion(call, credentials, 'seattle-weather', 'Which weather brings the most wind?')

  t.equal(answer.sourceStructure.rowCount, 1461)
  t.match(
    answer.columnAnalysis.find(({ name }: { name: string }) => name === 'temp_max'),
    { type: 'number', max: 35.6, missing: 0 }
  )
  t.match(
    answer.columnAnalysis.find(({ name }: { name: string }) => name === 'precipitation'),
    { mean: 3.02943 }
  )
  t.match(
    answer.columnAnalysis.find(({ name }: { name: string }) => name === 'date'),
    { type: 'time', first: '2012-01-01', last: '2015-12-31', granularity: 'day' }
  )
  t.strictSame(answer.charts[0], { name: 'Mean wind by weather', rowCount: 1461 })
  t.match(figuresOf(answer, 'Mean wind by weather'), {
    top: [
      { label: 'snow', value: 4.41154, rowCount: 26 },
      { label: 'rain', value: 3.66989, rowCount: 641 }
    ],
    bottom: { label: 'drizzle', value: 2.36792, rowCount: 53 }
  })
})

t.test('countries: values that the question names are the only rows', async t => {
  const answer = await askQuestion(
    call,
    credentials,
    'gapminder',
    'How did life expectancy develop in Norway and Japan?'
  )

  t.equal(answer.sourceStructure.rowCount, 682)
  t.match(
    answer.columnAnalysis.find(({ name }: { name: string }) => name === 'life_expect'),
    { max: 82.5 }
  )
  t.equal(answer.chartData[0].rows.length, 22)
  t.match(figuresOf(answer, 'Mean life_expect by year and country'), {
    groups: {
      Norway: { first: { at: '1955', value: 73.21 }, last: { at: '2005', value: 80.37 }, trend: 'rising' },
      Japan: { first: { at: '1955', value: 66.12 }, last: { at: '2005', value: 82.5 }, trend: 'rising' }
    }
  })
})

t.test('penguins: everyday words find their columns, and missing values take no part', async t => {
  const answer = await askQuestion(
    call,
    credentials,
    'penguins',
    'Do heavier penguins of each species have longer flippers?'
  )

  t.equal(answer.sourceStructure.rowCount, 344)
  t.match(
    answer.columnAnalysis.find(({ name }: { name: string }) => name === 'Body Mass (g)'),
    { mean: 4201.75, max: 6300, missing: 2 }
  )
  t.match(figuresOf(answer, 'Flipper Length (mm) against Body Mass (g)'), { points: 342, correlation: 0.871202 })
  t.match(figuresOf(answer, 'Mean Body Mass (g) by Species'), {
    top: [{ label: 'Gentoo', value: 5076.02, rowCount: 123 }],
    bottom: { label: 'Adelie', value: 3700.66 }
  })
})

t.test('employment: a course has a beginning, an end and extremes', async t => {
  const answer = await askQuestion(call, credentials, 'us-employment', 'How did construction develop?')

  t.equal(answer.sourceStructure.rowCount, 120)
  t.match(figuresOf(answer, 'Mean construction by month'), {
    first: { at: '2006-01', value: 7601 },
    last: { at: '2015-12', value: 6632 },
    changePercent: -12.7483,
    highest: { at: '2006-04', value: 7726 },
    lowest: { value: 5427 }
  })
})

t.test('carbon dioxide: sixty years become one point a year', async t => {
  const answer = await askQuestion(call, credentials, 'co2-concentration', 'Is CO2 rising?')

  t.strictSame(
    answer.strategy.columns.map(({ name }: { name: string }) => name),
    ['CO2']
  )
  t.match(figuresOf(answer, 'Mean CO2 by year'), {
    points: 63,
    trend: 'rising',
    first: { at: '1958' },
    last: { at: '2020' }
  })
  t.match(figuresOf(answer, 'Distribution of CO2'), {
    count: 741,
    min: 313.21,
    max: 416.18,
    mean: 355.311,
    median: 352.52
  })
})

t.test('bird strikes: rows are counted and sums are added up', async t => {
  const most = await askQuestion(
    call,
    credentials,
    'birdstrikes',
    'Which airport has the most strikes by large wildlife?'
  )
  const cost = await askQuestion(
    call,
    credentials,
    'birdstrikes',
    'What is the total repair cost per phase of flight?'
  )

  t.equal(most.sourceStructure.rowCount, 10000)
  t.match(figuresOf(most, 'Number of rows by Airport Name'), {
    top: [
      { label: 'SACRAMENTO INTL', value: 39 },
      { label: "CHICAGO O'HARE INTL ARPT", value: 38 }
    ],
    total: 744
  })
  t.match(figuresOf(cost, 'Sum Cost Repair by Phase of flight'), {
    top: [{ label: 'Climb', value: 16486515 }],
    total: 36302865
  })
})

t.test('the rows are in intermediate and nowhere else', async t => {
  const { chartConfigs } = await askQuestion(
    call,
    credentials,
    'birdstrikes',
    'Which operator has the highest speed?'
  )

  const { outputs } = await call('get_charts_data', { ...credentials, chartConfigs })
  const { intermediate, ...reply } = outputs

  t.strictSame(Object.keys(reply), ['status', 'charts'])
  t.ok(JSON.stringify(reply).length < 1000, 'the reply is small')
  t.ok(JSON.stringify(intermediate).length > 400_000, 'the rows are not')
  t.strictSame(
    intermediate.chartData.map(({ rows }: { rows: unknown[] }) => rows.length),
    reply.charts.map(({ rowCount }: { rowCount: number }) => rowCount)
  )
})

t.test('what is passed from tool to tool is small', async t => {
  for (const sourceId of sourceIds) {
    const { columnAnalysis, sourceStructure, strategy, markdownConfig, chartConfigs, insights } = await askQuestion(
      call,
      credentials,
      sourceId,
      'What is there to see?'
    )
    for (const value of [columnAnalysis, sourceStructure, strategy, markdownConfig, chartConfigs, insights]) {
      t.ok(JSON.stringify(value).length < 8000)
    }
  }
})

t.test('any question gets charts of every source', async t => {
  const questions = [
    '?',
    '🐧',
    '   x   ',
    '# heading\n## Another\n- chart: pie',
    '<script>alert(1)</script>',
    'constructor __proto__ toString',
    'in 1955',
    'in 2005 and 1999',
    'from 1990 to 2000',
    'How often?',
    'Which is the worst?',
    'total',
    'by year',
    'every day',
    'Is everything related to everything?',
    'How are all of them distributed?',
    'Seasonal?',
    'Was ist der Durchschnitt?',
    '数据 趋势',
    'a '.repeat(900)
  ]
  // Each question is about two of the sources, and about all of them in the long form.
  const isAsked = (question: number, source: number) =>
    process.env.DEMO_QUESTIONS === 'all' || (question + source) % 3 === 0
  for (const [position, sourceId] of sourceIds.entries()) {
    await t.test(sourceId, async t => {
      const { outputs: learned } = await call('analyze_source_structure', { ...credentials, sourceId })
      for (const question of questions.filter((_, index) => isAsked(index, position))) {
        const { dashboardUrl, insights, chartConfigs } = await askQuestion(
          call,
          credentials,
          sourceId,
          question,
          learned
        )
        const page = await fetch(dashboardUrl)
        const html = await page.text()

        t.strictSame([page.status, insights.length], [200, chartConfigs.length], question.slice(0, 40))
        t.notMatch(
          html + JSON.stringify(insights.map(({ statements }: { statements: string[] }) => statements)),
          /NaN|undefined|Infinity|null/
        )
      }
    })
  }
})

t.test('the markdown can be edited, and is read as it was meant', async t => {
  const { sourceStructure } = (
    await call('analyze_source_structure', { ...credentials, sourceId: 'seattle-weather' })
  ).outputs
  const readme = await readFile(new URL('../../examples/README.md', import.meta.url), 'utf8')
  const [, example = ''] = /```markdown\n([\s\S]*?)```/.exec(readme) ?? []
  const markdownConfig = [
    '```markdown',
    '# My own title',
    'Some prose.',
    '',
    ...example.split('\n'),
    '## Course\r',
    '* Chart: `LINE`',
    '+ x: date',
    '- y:  temp_max ',
    '- time unit: Month of year',
    '> why not',
    '```'
  ].join('\n')

  const { outputs, text } = await call('create_dashboard', { ...credentials, markdownConfig, sourceStructure })

  t.strictSame(
    outputs?.chartConfigs,
    [
      {
        name: 'Mean wind by weather',
        sourceId: 'seattle-weather',
        chart: 'bar',
        x: 'weather',
        y: 'wind',
        aggregate: 'mean',
        sort: 'descending',
        limit: 10,
        only: [{ column: 'date', values: ['2014', '2015'] }]
      },
      {
        name: 'Course',
        sourceId: 'seattle-weather',
        chart: 'line',
        x: 'date',
        y: 'temp_max',
        aggregate: 'mean',
        timeUnit: 'month of year'
      }
    ],
    text
  )
  t.match(await (await fetch(outputs.dashboardUrl)).text(), '<h1>My own title</h1>')
  const data = await call('get_charts_data', { ...credentials, chartConfigs: outputs.chartConfigs })
  t.strictSame(data.outputs.charts, [
    { name: 'Mean wind by weather', rowCount: 730 },
    { name: 'Course', rowCount: 1461 }
  ])
})

t.test('a mistake in the markdown is answered with its line', async t => {
  const { sourceStructure } = (
    await call('analyze_source_structure', { ...credentials, sourceId: 'seattle-weather' })
  ).outputs
  const chart = (...lines: string[]) =>
    ['# Title', '', '## Wind', '- chart: bar', '- x: weather', ...lines].join('\n')
  const cases: Array<[string, RegExp]> = [
    [chart('- y: wind', 'and so on'), /^Line 7 of the configuration, "and so on": it is neither/],
    [chart('- y: wind', '- colour: red'), /^Line 7 .*"colour" is not a setting; these are: chart, x/],
    [chart('- y: storm'), /^Line 6 .*there is no column "storm"; the columns are date, /],
    [chart('- y: date'), /^Line 6 .*"date" is a time column; a bar chart takes a number column here/],
    [chart('- y: wind', '- limit: ten'), /^Line 7 .*whole number from 1 to 100/],
    [chart('- y: wind', '- split by: weather'), /^Line 7 .*a bar chart does not use "split by"/],
    [chart('- y: wind', '- aggregate: count'), /^Line 6 .*a bar chart that counts rows does not use "y"/],
    [chart('- y:'), /^Line 6 .*the value is missing/],
    [chart('- y: wind', '- y: temp_max'), /^Line 7 .*this setting is there twice/],
    [chart('- y: wind', '- only: weather'), /^Line 7 .*column = value/],
    [chart('- y: wind', '- only: climate = wet'), /^Line 7 .*there is no column "climate"/],
    [chart(), /^Line 4 .*a bar chart needs "y"/],
    ['## Wind\n- x: wind', /^Line 1 .*this chart has no line "- chart: …"/],
    ['## Wind\n- chart: pie\n- x: wind', /^Line 2 .*"pie" is not one of line, bar, scatter, histogram/],
    [`${chart('- y: wind')}\n## Wind\n`, /^Line 7 .*another chart has this name/],
    ['just prose', /^The configuration has no chart/],
    [
      Array.from({ length: 13 }, (_, index) => `## Chart ${index}\n- chart: histogram\n- x: wind`).join('\n'),
      /^The configuration has 13 charts; 12 is the most/
    ]
  ]
  for (const [markdownConfig, reason] of cases) {
    t.match(await call('create_dashboard', { ...credentials, markdownConfig, sourceStructure }), {
      failed: true,
      text: reason
    })
  }
})
