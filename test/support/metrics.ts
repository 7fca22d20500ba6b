export interface Sample { name: string, labels: Record<string, string>, value: number }

export interface Scrape {
  text: string
  samples: Sample[]
  /** The sum of the samples of that name that have these labels. */
  sum: (name: string, labels?: Record<string, string>) => number
}

/** Where a service in this process or another serves its metrics, from its log. */
export const metricsUrl = (service: { output: () => string }) =>
  /"url":"(http:[^"]+\/metrics)"/.exec(service.output())?.[1] ?? ''

/** The metrics now. Throws on a line that is not of Prometheus' text format. */
export async function scrape (url: string): Promise<Scrape> {
  const response = await fetch(url)
  const text = await response.text()
  if (response.status !== 200) throw new Error(`${url} answered ${response.status}: ${text}`)
  const samples = text.split('\n').filter(line => line !== '' && !line.startsWith('#')).map(parseSample)
  const sum = (name: string, wanted: Record<string, string> = {}) => samples
    .filter(sample => sample.name === name)
    .filter(({ labels }) => Object.entries(wanted).every(([key, value]) => labels[key] === value))
    .reduce((total, { value }) => total + value, 0)
  return { text, samples, sum }
}

/** @see https://prometheus.io/docs/instrumenting/exposition_formats/ */
function parseSample (line: string): Sample {
  const [, name, labels = '', value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (NaN|Nan|[+-]Inf|[-+\d.e]+)$/.exec(line) ?? []
  if (name === undefined) throw new Error(`not a sample: ${line}`)
  const pairs = [...labels.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/g)]
  if (pairs.map(([whole]) => whole).join('') !== labels) throw new Error(`not labels: ${labels}`)
  const unquoted = (text: string) => text.replace(/\\([\\"n])/g, (_, letter: string) => letter === 'n' ? '\n' : letter)
  return {
    name,
    labels: Object.fromEntries(pairs.map(([, key = '', text = '']) => [key, unquoted(text)])),
    value: Number(value?.replace('Nan', 'NaN').replace('Inf', 'Infinity'))
  }
}
