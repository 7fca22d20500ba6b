import { version } from '../version.ts'
import { createInstruments } from './instruments.ts'
import { subscribe } from './subscriptions.ts'
import { other } from './tool-labels.ts'

/** A request of a caller that is over. */
export interface RequestFacts {
  method: string
  /** The pattern of its route; absent where there is none. */
  route: string | undefined
  statusCode: number
  /** False when the caller left before the answer was complete. */
  isAnswered: boolean
  /** The code of the failure that it was answered with. */
  failureCode: string | null
  seconds: number
}

/** A gauge whose values are read when somebody asks for the metrics. `null` where a value is not known now. */
export interface GaugeOptions {
  name: string
  help: string
  label?: string
  read: () => Iterable<readonly [label: string, value: number]> | Promise<number | null>
}

export interface Metrics {
  readonly contentType: string
  /** All metrics in Prometheus' text format. Waits for what is read from Redis. */
  text: () => Promise<string>
  addRequest: (facts: RequestFacts) => void
  addGauge: (options: GaugeOptions) => void
  close: () => void
}

/** Methods that are told apart, as OpenTelemetry names them. */
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'CONNECT', 'TRACE'])
/** The status that nginx logs for a caller who has left. */
const leftStatus = 499

/** Counts what happens in this process, and measures the process. The library is loaded only by this. */
export async function createMetrics (): Promise<Metrics> {
  const library = await import('prom-client')
  const { collectDefaultMetrics, Gauge, Registry } = library
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const instruments = createInstruments(library, registry)
  const info = new Gauge({
    name: 'mcpc_build_info', help: 'Always 1', labelNames: ['version', 'node'], registers: [registry]
  })
  info.set({ version, node: process.version }, 1)
  const unsubscribe = subscribe(instruments)

  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),

    addRequest ({ method, route = other, statusCode, isAnswered, failureCode, seconds }) {
      instruments.requests.observe({
        http_request_method: methods.has(method) ? method : '_OTHER',
        http_route: route,
        http_response_status_code: isAnswered ? statusCode : leftStatus
      }, seconds)
      if (failureCode !== null) instruments.failures.inc({ code: failureCode })
    },

    addGauge ({ name, help, label, read }) {
      const labelNames = label === undefined ? [] : [label]
      // eslint-disable-next-line no-new -- it belongs to the registry from now on
      new Gauge<string>({
        name,
        help,
        labelNames,
        registers: [registry],
        async collect () {
          this.reset() // a server that is gone has no value
          const values = read()
          if (values instanceof Promise) return this.set(await values ?? NaN)
          for (const [value, count] of values) this.set(label === undefined ? {} : { [label]: value }, count)
        }
      })
    },

    close () {
      unsubscribe()
      registry.clear()
    }
  }
}
