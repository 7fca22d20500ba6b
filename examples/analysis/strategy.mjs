import * as z from 'zod'
import { ChartSchema, MAX_CHARTS } from './charts.mjs'
import { matchColumns, matchValues, readQuestion } from './question.mjs'

const PlannedChartSchema = ChartSchema.omit({ sourceId: true }).extend({ reason: z.string().optional() })
export const StrategySchema = z.object({
  charts: z.array(PlannedChartSchema).min(1).max(MAX_CHARTS),
  notes: z.array(z.string()).optional()
})

const MAX_PLANNED = 4
const MAX_GROUPS = 8
const MAX_MONTHS_IN_YEARS = 15
/** Charts that answer an intent best; the first intent that the question has counts. */
const FAVOURITES = { relation: ['scatter', 'line'], distribution: ['histogram'], trend: ['line'], season: ['line'] }

/**
 * Decides which charts answer the question: from the columns it names, then from what kinds of columns there are.
 * A question that names none gets an overview. `notes` say what had to be assumed.
 */
export function planStrategy (question, columns) {
  const asked = readQuestion(question)
  const matches = matchColumns(asked.words, columns)
  const only = matchValues(question, columns)
  const notes = matches.length + only.length > 0 ? [] : ['The question names no column; these charts are an overview.']
  const parts = chooseParts({ asked, columns, matched: matches.map(({ column }) => column), only, notes })
  const charts = planCharts(parts)
  // A source of free text only: counting the values of its first column is the least wrong.
  if (charts.length === 0) charts.push(...planCharts({ ...parts, categories: [columns[0]] }))
  const intent = Object.keys(FAVOURITES).find(intent => asked.intents.includes(intent))
  const order = [...FAVOURITES[intent] ?? [], 'bar', 'line', 'scatter', 'histogram']
  charts.sort((a, b) => order.indexOf(a.chart) - order.indexOf(b.chart))
  return {
    question,
    intents: asked.intents,
    columns: matches.map(({ column, because }) => ({ name: column.name, because })),
    only,
    charts: charts.slice(0, MAX_PLANNED).map(chart => only.length > 0 ? { ...chart, only } : chart),
    notes
  }
}

/** What the charts are made of: quantities, categories to compare, a time, and a category to split by. */
function chooseParts ({ asked, columns, matched, only, notes }) {
  const measures = chooseMeasures({ asked, columns, matched, notes })
  const valuesShown = column => only.find(filter => filter.column === column?.name)?.values.length
  const groups = column => valuesShown(column) ?? column.distinct ?? Infinity
  // A column that only one value is left of has nothing to compare.
  const categories = columns.filter(column => column.type === 'category' && groups(column) > 1)
  const named = new Set([...matched, ...columns.filter(valuesShown)])
  const mentioned = [...named].filter(column => categories.includes(column))
  const fewestFirst = categories.toSorted((a, b) => groups(a) - groups(b))
  const time = [...matched, ...columns].find(column => column.type === 'time')
  return {
    measures,
    aggregate: measures.length === 0 ? 'count' : asked.aggregate,
    categories: mentioned.length > 0 ? mentioned.slice(0, 2) : fewestFirst.slice(0, 1),
    sort: asked.orders.includes('ascending') ? 'ascending' : 'descending',
    splitBy: mentioned.find(column => groups(column) <= MAX_GROUPS)?.name,
    time: time?.name,
    timeUnit: time && chooseTimeUnit(time, valuesShown(time), asked)
  }
}

/** At most two quantities; none when the rows themselves are to be counted. */
function chooseMeasures ({ asked, columns, matched, notes }) {
  const named = matched.filter(column => column.type === 'number').slice(0, 2)
  if (named.length === 0 && asked.intents.includes('count')) return []
  const wanted = asked.intents.includes('relation') ? 2 : 1
  const others = columns.filter(column => column.type === 'number' && !named.includes(column))
  const standIns = others.slice(0, Math.max(0, wanted - named.length))
  if (standIns.length > 0 && matched.length > 0) {
    const names = standIns.map(column => `"${column.name}"`).join(' and ')
    notes.push(`The question does not name every quantity it needs; ${names} was taken.`)
  }
  return [...named, ...standIns].map(column => column.name)
}

/** None for a single year of a column of years: that is one point, which is no line. */
function chooseTimeUnit ({ granularity, first, last }, yearsShown, { timeUnit, intents }) {
  if (granularity === 'year') return yearsShown === 1 ? undefined : 'year'
  if (timeUnit || intents.includes('season')) return timeUnit ?? 'month of year'
  const years = yearsShown ?? Number(last?.slice(0, 4)) - Number(first?.slice(0, 4)) + 1
  return years > MAX_MONTHS_IN_YEARS ? 'year' : 'month'
}

/** Every chart that these parts can make. */
function planCharts ({ measures, aggregate, categories, sort, splitBy, time, timeUnit }) {
  const [first, second] = measures
  const what = measure => measure ? `${aggregate[0].toUpperCase()}${aggregate.slice(1)} ${measure}` : 'Number of rows'
  const charts = []
  const plan = (chart, name, settings, reason) => charts.push({ name, chart, ...settings, reason })
  for (const y of timeUnit ? [first, second].slice(0, measures.length || 1) : []) {
    const name = `${what(y)} by ${timeUnit}${splitBy ? ` and ${splitBy}` : ''}`
    plan('line', name, { x: time, y, aggregate, timeUnit, splitBy }, `${time} is a time, so a line shows the course.`)
  }
  for (const { name: x, distinct = 'several' } of categories) {
    const settings = { x, y: first, aggregate, sort, limit: 10 }
    plan('bar', `${what(first)} by ${x}`, settings, `${x} has ${distinct} values, so bars compare them.`)
  }
  if (second) {
    const reason = 'Two quantities: a point for each row shows whether they go together.'
    plan('scatter', `${second} against ${first}`, { x: first, y: second, splitBy }, reason)
  }
  const usual = `Shows what is usual for ${first} and what is rare.`
  if (first) plan('histogram', `Distribution of ${first}`, { x: first }, usual)
  return charts
}
