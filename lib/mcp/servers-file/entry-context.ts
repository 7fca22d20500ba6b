import type { HostEnvironment } from './host-environment.ts'
import type { PolicyDefaults } from './resolve-policy.ts'

/** What an entry is resolved with. */
export interface EntryContext {
  host: HostEnvironment
  /** The folder where servers keep compiled code; absent or `null`: the service gives them none. */
  compileCache?: string | null
  /** Fields of a session that are credentials: those that `${session.NAME}` may name. */
  sensitiveParams: readonly string[]
  /** The folder of the servers file. A relative `cwd` counts from there. */
  folder: string
  /** What holds where the entry says nothing of values. */
  policyDefaults: PolicyDefaults
  /** All servers of the file that are not disabled. */
  serverNames: readonly string[]
  /** The text of a member within an entry, as it was written; the names lead to it. */
  textAt: (server: string, path: readonly string[]) => string
}
