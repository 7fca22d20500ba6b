/** False where it is not possible or fails. */
export function installDebianPackages (packages: readonly string[], reason: string): boolean
