<?php
// SPDX-License-Identifier: GPL-3.0-or-later
// This file is part of Navette.
//
// A site that keeps its files elsewhere, as with an object store: config.php names the class as
// $CFG->alternative_file_system_class.  A content becomes a file of this machine only when it is
// asked for with fetching, or, with $CFG->navette_never_local, not even then: by copying only.

/**
 * Contents below dataroot/elsewhere, under other names than Moodle's.
 */
class navette_elsewhere extends file_system {
    /**
     * Where a content is kept, in a form that nobody takes for a local copy.
     */
    private function object(string $hash): string {
        global $CFG;
        return make_writable_directory("$CFG->dataroot/elsewhere") . "/$hash.object";
    }

    protected function get_local_path_from_hash($contenthash, $fetchifnotfound = false) {
        global $CFG;
        $path = make_writable_directory("$CFG->dataroot/fetched") . "/$contenthash";
        if ($fetchifnotfound && empty($CFG->navette_never_local) && is_readable($this->object($contenthash))) {
            copy($this->object($contenthash), $path);
        }
        return $path;
    }

    protected function get_remote_path_from_hash($contenthash) {
        return $this->object($contenthash);
    }

    public function copy_content_from_storedfile(stored_file $file, $target) {
        return copy($this->object($file->get_contenthash()), $target);
    }

    public function remove_file($contenthash) {
        if (self::is_file_removable($contenthash)) {
            @unlink($this->object($contenthash));
        }
    }

    public function add_file_from_path($pathname, $contenthash = null) {
        [$contenthash, $filesize] = $this->validate_hash_and_file_size($contenthash, $pathname);
        $new = !is_file($this->object($contenthash));
        if ($new && !copy($pathname, $this->object($contenthash))) {
            throw new file_exception('storedfilecannotcreatefile');
        }
        return [$contenthash, $filesize, $new];
    }

    public function add_file_from_string($content) {
        $contenthash = file_storage::hash_from_string($content);
        $new = !is_file($this->object($contenthash));
        if ($new) {
            file_put_contents($this->object($contenthash), $content);
        }
        return [$contenthash, strlen($content), $new];
    }
}
