export interface Series { labels: Record<string, string>, value: number }
export interface Points { labels: Record<string, string>, points: Array<{ at: number, value: number }> }

export interface Prometheus {
  url: string
  query: (expression: string) => Promise<Series[]>
  queryRange: (expression: string, span: { start: number, end: number, step: number }) => Promise<Points[]>
  targets: () => Promise<Array<{ scrapeUrl: string, health: string }>>
  stop: () => Promise<void>
}

export function providePrometheus (): string
export function startPrometheus (options: {
  port: number, folder: string, targets: string[], intervalMs?: number, rules?: string[]
}): Promise<Prometheus>
