--- The version of this module, as semantic versioning has it: MAJOR.MINOR.PATCH (https://semver.org).
-- @module netns.version
return "0.1.0"
