export interface NginxServer {
  url: string
  pid: number
  errorLog: () => string
  accessLog: () => string
  stop: () => Promise<void>
}
export function provideNginx (): string | null
export function startNginx (options: { folder: string, ports: ReadonlyArray<string | number> }): Promise<NginxServer>
export const waysToGetNginx: string
