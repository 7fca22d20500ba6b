export function installDebianPackages (packages: string[], reason: string): boolean
